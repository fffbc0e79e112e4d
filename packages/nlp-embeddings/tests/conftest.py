"""A cache of the tests' own, and the reference implementations on the path."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

os.environ["NLP_EMBEDDINGS_CACHE"] = tempfile.mkdtemp(prefix="nlp-embeddings-tests-")
sys.path.append(str(Path(__file__).parent))  # reference.word2vec and its like
