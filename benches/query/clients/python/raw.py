"""A socket: what is sent and answered message by message. The tests of each module run as it is
imported, in this order.
"""

import raw_start  # noqa: F401
import raw_statements  # noqa: F401
import raw_portals  # noqa: F401
import raw_transactions  # noqa: F401
import raw_stopping  # noqa: F401
import raw_results  # noqa: F401
