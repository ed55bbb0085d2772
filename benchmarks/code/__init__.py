"""Reading a repository's history into the platform: ours (`ours`) beside the bare fetch of the same pages (`fetch`) and
the connector without us (`read`), each in processes of its own; `benchmark` lets them take turns."""
