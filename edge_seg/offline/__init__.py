"""What happens to a model before a robot runs it: importing, measuring, shrinking, packing."""
