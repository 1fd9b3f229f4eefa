"""From statistics to what diagnostics say."""
