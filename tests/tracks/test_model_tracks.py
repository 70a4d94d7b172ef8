"""tracks.json: the bytes of before."""

import pytest

from varlm.errors import UserError
from varlm.tracks.model_tracks import DrawnTracks

# As the code of c9c1f55 wrote it, less four of its tracks.
OLD = """\
{
  "varlm": "0.1.0",
  "model": "demo",
  "path": "checkpoint",
  "revision": null,
  "key": "ccba49e879657a98c356dc0d6fd23d00",
  "window": 64,
  "strands": "both",
  "precision": "float32",
  "sites": 2,
  "contigs": {
    "chrI": 2
  },
  "first": {
    "contig": "chrI",
    "start": 9,
    "end": 10
  },
  "tracks": {
    "worst_llr": {
      "file": "worst_llr.bw",
      "unit": "nats",
      "meaning": "lowest log-likelihood ratio (alt − ref, strand mean) of the site's three SNVs",
      "min": -0.6454416513442993,
      "max": -0.10292279720306396,
      "low": -0.6400164365768433
    },
    "logo_A": {
      "file": "logo_A.bw",
      "unit": "bits",
      "meaning": "height of the letter A in a sequence logo: p × (2 − entropy in bits)",
      "min": 0.03131931647658348,
      "max": 0.03849698230624199,
      "low": 0.03139109164476395
    }
  }
}
"""


def test_an_old_file_is_read_and_written_to_the_same_bytes(tmp_path):
    old, new = tmp_path / "old.json", tmp_path / "new.json"
    old.write_text(OLD, encoding="utf-8")
    drawn = DrawnTracks.read(old)
    assert (drawn.first.start, drawn.tracks["worst_llr"].low) == (9, -0.6400164365768433)
    drawn.write(new)
    assert new.read_bytes() == old.read_bytes()


def test_a_damaged_file_is_refused(tmp_path):
    path = tmp_path / "tracks.json"
    path.write_text(OLD[:-20], encoding="utf-8")
    with pytest.raises(
        UserError, match=r"not readable as JSON .*delete its folder and run the work"
    ):
        DrawnTracks.read(path)
