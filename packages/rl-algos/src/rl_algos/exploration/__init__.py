"""Exploration where a reward is far away: deep seas, and agents that dive in them."""
