"""A stand-in for the platforms' APIs, over an invented world.

The world is a pure function of (seed, moment): nothing is stored, so any moment can be asked for in any order, and two
servers with one seed give the same answers. `world` and the modules that it draws on are pure; `youtube`, `bluesky` and
`mastodon` speak each platform's protocol; `app` is the server. It shares no code with the collectors that read it.
"""
