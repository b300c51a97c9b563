"""The subcommands of `assay`, a module an area: a function a command, no logic.

Heavy imports happen inside the command that needs them: `assay --help` reads every module here.
"""
