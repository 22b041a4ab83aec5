"""Memories → what follows from many of them: merged repetitions, timelines, summaries, profiles. It writes nothing."""
