"""What a run says and remembers: log lines, and the history of every scalar."""

from visuite.engine.logging.history_buffer import HistoryBuffer
from visuite.engine.logging.logger import MMLogger, print_log
from visuite.engine.logging.message_hub import MessageHub

__all__ = ["HistoryBuffer", "MMLogger", "MessageHub", "print_log"]
