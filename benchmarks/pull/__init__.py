"""Pulling a Jira project into the platform: ours (`ours`) beside the practical limit (`limit`) and the usual way
(`usual`), each in processes of its own; `benchmark` lets them take turns."""
