"""Write `store/` and `archive.tar` beside this file with the code of commit c9c1f55.

From a checkout of varlm: `git worktree add OLD c9c1f55`, then
`python tests/data/store_c9c1f55/regenerate.py OLD`. The rows are those of `tests/making/store.py`.
"""

import shutil
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent

if __name__ == "__main__":
    (old,) = map(Path, sys.argv[1:])
    sys.path[:0] = [str(old / "workflow_scripts"), str(old / "tests")]

    from store_making import KEY, MODEL, add_unseen, background_rows, make_store, site_rows

    from varlm.store.archive import export
    from varlm.store.compaction import compact

    shutil.rmtree(HERE / "store", ignore_errors=True)
    store = make_store(HERE / "store", [range(1, 40, 2), range(1, 60, 3)])
    compact(store, KEY)
    add_unseen(store, range(50, 65), 5e-4)  # some rows are in two parts, as without locks
    store.commit(KEY, MODEL, [("SQ.b", site_rows([3, 9]))])
    store.commit(KEY, MODEL, background=[("BG.a", background_rows([1, 2]))])
    export(store, HERE / "archive.tar", [KEY])
    (HERE / "store" / KEY / "lock").unlink()
