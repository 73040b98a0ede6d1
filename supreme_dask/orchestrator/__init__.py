"""The user's process: submit engines (`submission`), many of them in one message (`batching`)."""
