"""``riverwatch detect``: the workers' own decoder, windows, rules and models over the rows of a file, without Kafka."""
