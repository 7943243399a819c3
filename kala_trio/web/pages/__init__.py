"""The pages that people see: rendered here, of what the reader knows and the scheduler is asked."""
