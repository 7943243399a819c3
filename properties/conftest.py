"""How the properties run: without deadlines, because no rule is about how fast a machine is."""

from hypothesis import settings

settings.register_profile("kala-trio", deadline=None)
settings.load_profile("kala-trio")
