# At run time Home Assistant answers ``import voluptuous`` with probatio; this tells the type checker the same.
from probatio import *
from probatio import UNDEFINED as UNDEFINED
