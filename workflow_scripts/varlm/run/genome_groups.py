"""Groups of a training's genomes, and their shares of the draws."""

from __future__ import annotations

from collections.abc import Mapping

from varlm.errors import first_few

_ROUNDING = 1e-6


def group_error(groups: Mapping[str, str | None], shares: Mapping[str, float] | None) -> str | None:
    """Return what is wrong between the groups of genomes and the shares of groups, or None.

    Parameters
    ----------
    groups : mapping
        Genome → its group, or None.
    shares : mapping or None
        Group → its share of the draws; None where genomes are drawn as they are.
    """
    grouped = [genome for genome, group in groups.items() if group is not None]
    if shares is None:
        return (
            f"{first_few(grouped)} have a group, but no group has a share; give windows.shares "
            "the share of each group, or remove group"
            if grouped
            else None
        )
    faults = []
    if without := [genome for genome, group in groups.items() if group not in shares]:
        listed = [f"{genome} (group: {groups[genome] or 'none'})" for genome in without]
        faults.append(f"no share is there for {first_few(listed)}")
    if empty := sorted(set(shares) - set(groups.values())):
        faults.append(f"no genome is in {first_few(empty)}")
    if abs(sum(shares.values()) - 1) > _ROUNDING:
        faults.append(f"the shares add up to {sum(shares.values()):.7g}, not to 1")
    if not faults:
        return None
    return (
        "; ".join(faults) + "; give every genome a group, every group of windows.shares genomes, "
        "and shares that add up to 1"
    )
