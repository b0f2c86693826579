"""Notifies a person of what needs attention.

It sends notifications, and requests to a dead man's switch. :mod:`~syncd.notify.conditions` finds what needs attention,
:mod:`~syncd.notify.tracker` decides when to tell a person, :mod:`~syncd.notify.outbox` delivers the messages, and
:mod:`~syncd.notify.notifier` connects them in the daemon.
"""
