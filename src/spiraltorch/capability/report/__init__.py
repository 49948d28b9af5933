"""The matrix as text: `table` for terminals, `markdown` for documents, `page` for browsers."""
