"""Jobs as code: what stands in job files, and what is to be changed to have just that."""
