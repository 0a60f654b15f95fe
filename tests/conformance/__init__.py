"""What agents in the field rely on, asked of any server over HTTP: ROLLWAVE_URL and ROLLWAVE_TOKEN, or one of our own.

A test's name begins with the generation of agents it is about: a1 (October 2025, polls without keeping to HTTP), a2 (November
2025, compresses every report), a3 (2026, compresses long ones), or any. Every device has a uuid and every rollout a repository
of its own, so the suite can run again and again on a server that has other devices; those it made stay, in the fleet “conformance”.
"""
