"""What everything else speaks about: values without behaviour at the edges."""
