"""What makes a site of these pages."""
