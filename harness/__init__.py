"""Does this GAN still do what its document says, and did my change make it worse?"""

__version__ = "0.1.0"
