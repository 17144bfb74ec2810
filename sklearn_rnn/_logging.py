"""The logger of the package."""

import logging

LOGGER = logging.getLogger("sklearn_rnn")
# Quiet until the application sets up logging: without a handler, Python would print
# warnings.
LOGGER.addHandler(logging.NullHandler())
