"""Pictures in words: captions of pictures, texts and pictures in one space, and pictures from captions."""
