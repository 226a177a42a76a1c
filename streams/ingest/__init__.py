"""From raw records to closed windows: decoding, filtering, event-time windows, source clocks."""
