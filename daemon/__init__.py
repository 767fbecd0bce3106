"""Stylefolder's daemon and its commands: Ledger, watcher, Engine, views. Imports stylecore, never the other way."""
