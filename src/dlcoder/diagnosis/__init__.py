"""Logs become events, events become evidence, evidence ranks causes."""
