"""The user's process: find a system (`connection`), submit engines (`submission`), in batches (`batching`)."""
