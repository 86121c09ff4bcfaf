"""Resource agents of the Open Cluster Framework: found, described, run and tested.

An agent is a program of the package resource-agents (or of another provider) that starts, stops and
monitors one kind of service, and knows nothing of mosha. See the OCF resource agent API 1.1.

`wrapper` is the process that clinit runs for an entry of mode `ocf`. There is one for each such
entry, so what it imports is small on purpose: no msgspec, no asyncio, no typing, no pathlib.
"""
