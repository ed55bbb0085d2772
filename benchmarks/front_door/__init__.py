"""Webhooks accepted and worked off: the front door (`turnbuckle serve`) beside servers that do less or do it the usual
way (`servers`), under the same load (`load`); and the inbox drained (`drain`). `benchmark` lets them take turns."""
