"""What a browser, a program or a command sees of a scheduler: pages in Dask's dashboard, and JSON."""
