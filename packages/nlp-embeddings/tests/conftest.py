"""A cache of the tests' own, and short ways to build agents."""

from __future__ import annotations

import os
import tempfile

os.environ["NLP_EMBEDDINGS_CACHE"] = tempfile.mkdtemp(prefix="nlp-embeddings-tests-")
