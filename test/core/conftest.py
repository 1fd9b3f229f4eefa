"""How hypothesis runs here: no deadline, because a busy machine is not a wrong result."""

from hypothesis import settings

settings.register_profile('core', deadline=None, print_blob=True)
settings.load_profile('core')
