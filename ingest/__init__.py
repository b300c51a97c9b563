"""assay: from platform answers to marts. Rooms: collect, publish, land, audience, warehouse."""

__version__ = "0.1.0"
