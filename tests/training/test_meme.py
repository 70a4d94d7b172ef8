"""MEME files: motifs as they are, and errors that name the line."""

import numpy as np
import pytest

from varlm.errors import UserError
from varlm.training.meme import read_motifs

HEAD = "MEME version 4\n\nALPHABET= ACGT\n\nstrands: + -\n\n"
ROWS = " 0.7 0.1 0.1 0.1\n0 0 1 0\n0.25 0.25 0.25 0.25\n"
MATRIX = f"letter-probability matrix: alength= 4 w= 3 nsites= 20 E= 0\n{ROWS}"


def written(folder, text):
    path = folder / "motifs.meme"
    path.write_text(text)
    return path


def test_motifs_are_read(tmp_path):
    text = f"{HEAD}MOTIF MA1 REB1\n\n{MATRIX}URL http://x\n\nMOTIF two\n{MATRIX}"
    first, second = read_motifs(written(tmp_path, text))
    assert (first.name, first.other_name, first.consensus) == ("MA1", "REB1", "AGA")
    assert np.array_equal(first.matrix[:2], [[0.7, 0.1, 0.1, 0.1], [0, 0, 1, 0]])
    assert (second.name, second.other_name, second.consensus) == ("two", None, "AGA")


def test_what_the_program_meme_writes_is_read(tmp_path):
    stars = "*" * 80 + "\nMEME - Motif discovery tool\n" + "*" * 80 + "\n"
    text = f'{stars}MEME version 5.5.4 (Release date: x)\n\nALPHABET "DNA" DNA-LIKE\nA "A"\n'
    text += f"END ALPHABET\nMOTIF AGA MEME-1\twidth = 3\n\tMotif AGA MEME-1 Description\n{MATRIX}"
    (motif,) = read_motifs(written(tmp_path, text))
    assert (motif.name, motif.other_name) == ("AGA", "MEME-1")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("REB1 TTACCCG\n", "line 1: found 'REB1 TTACCCG'; expected 'MEME version 4' or 5"),
        ("MEME version 3\n", "line 1: found 'MEME version 3'; expected 'MEME version 4' or 5"),
        (HEAD, "no motif; expected lines of the word MOTIF and a name"),
        (HEAD.replace("ACGT", "ACDEFGHIKLMNPQRSTVWY") + "MOTIF x\n", "line 3: found the alphabet"),
        (f"{HEAD}MOTIF\n{MATRIX}", "line 7: found MOTIF alone"),
        (f"{HEAD}MOTIF x\n{MATRIX}MOTIF x\n{MATRIX}", "line 12: the motif x is there twice"),
        (f"{HEAD}MOTIF x\nMOTIF y\n{MATRIX}", "line 7: the motif x has no letter-probability"),
        (f"{HEAD}MOTIF x\n{MATRIX.replace('w= 3', '')}", "line 8: found 'letter-probability"),
        (f"{HEAD}MOTIF x\n{MATRIX.replace('w= 3', 'w= 4')}", "line 11: the matrix of x is cut off"),
        (f"{HEAD}MOTIF x\n{MATRIX.replace('0 0 1 0', '0 0 1')}", "line 10: found '0 0 1' in the"),
        (f"{HEAD}MOTIF x\n{MATRIX.replace('0 0 1 0', '0 9 1 0')}", "line 10: found '0 9 1 0' in"),
        (f"{HEAD}MOTIF x\n{MATRIX.replace('0 0 1 0', '0 a 1 0')}", "line 10: found '0 a 1 0' in"),
    ],
)
def test_an_error_names_the_line(tmp_path, text, message):
    path = written(tmp_path, text)
    with pytest.raises(UserError) as error:
        read_motifs(path)
    assert str(error.value).startswith(str(path))
    assert message in str(error.value)
