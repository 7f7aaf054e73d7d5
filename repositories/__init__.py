"""What there is and who may see it, in the words of the image-spec."""
