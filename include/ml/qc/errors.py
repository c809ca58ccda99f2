"""What the QC room raises."""


class QcError(RuntimeError):
    """QC could not look (something is missing or unreadable), so there is no verdict; the message says what to do."""
