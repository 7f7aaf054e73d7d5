"""Pictures, colors and Markdown, as SVG and HTML."""
