"""``kstats top``: a full-screen view of a host or a recording.

Data flows one way: samples become a :class:`~kstats.top.frame.Frame`, frames and keys change the
:class:`~kstats.top.state.State`, :func:`~kstats.top.screen.screen` turns state and size into lines
of styled text, and :mod:`~kstats.top.painter`, which alone knows the terminal, draws the lines.
"""
