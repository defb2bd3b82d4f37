"""What the files of a frozen claim are called, and the number of their format."""

FORMAT = 1
CLAIM, TEXT, ROWS, VALUES = "claim.json", "claim.txt", "rows.jsonl", "values.json"
PARTS = "parts.safetensors"  # the arrays of parts, `digest.name`, where a claim has any
VOCAB = "vocab.json"  # there where the data have words for their tokens
