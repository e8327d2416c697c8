"""Channels between parties: threads (``memory``), sealed sockets (``tls``), an emulated WAN (``link``)."""
