"""How attempts become processes: started, watched, captured, stopped, and found again."""
