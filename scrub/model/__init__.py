"""What is explained: computation graphs and transformers."""
