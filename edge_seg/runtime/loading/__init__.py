"""From a reference to a model that serves, and back when it does worse."""
