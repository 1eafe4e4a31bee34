"""cib/changes.py: a change is told in one line, in the field's words."""

from cib_samples import configuration

from komainu.cib.changes import describe_changes

BEFORE = """
<crm_config><cluster_property_set id="o"><nvpair id="o-q" name="no-quorum-policy" value="stop"/>
</cluster_property_set></crm_config>
<nodes><node id="1" uname="a"/></nodes>
<resources>
 <primitive id="web" class="ocf" provider="komainu" type="web">
  <meta_attributes id="web-m"><nvpair id="web-m-t" name="target-role" value="Started"/></meta_attributes>
  <operations><op id="web-op" name="monitor" interval="10s"/></operations>
 </primitive>
 <primitive id="ip" class="ocf" provider="heartbeat" type="IPaddr2"/>
 <group id="g"><primitive id="x" class="lsb" type="x"/><primitive id="y" class="lsb" type="y"/></group>
</resources>
<constraints><rsc_order id="first" first="ip" then="web"/></constraints>
"""
AFTER = """
<crm_config><cluster_property_set id="o"><nvpair id="o-q" name="no-quorum-policy" value="freeze"/>
</cluster_property_set></crm_config>
<nodes><node id="1" uname="a"><instance_attributes id="nodes-1"><nvpair id="s" name="standby" value="on"/>
</instance_attributes></node></nodes>
<resources>
 <primitive id="web" class="ocf" provider="komainu" type="web2">
  <meta_attributes id="web-m"><nvpair id="web-m-t" name="target-role" value="Stopped"/>
  <nvpair id="web-m-p" name="priority" value="5"/></meta_attributes>
  <operations><op id="web-op" name="monitor" interval="20s"/></operations>
 </primitive>
 <group id="g"><primitive id="y" class="lsb" type="y"/><primitive id="x" class="lsb" type="x"/>
 <primitive id="ip" class="ocf" provider="heartbeat" type="IPaddr2"/></group>
 <primitive id="new" class="systemd" type="nginx"/>
</resources>
<constraints/>
"""


def test_changes_are_told() -> None:
    assert describe_changes(configuration(BEFORE), configuration(AFTER)) == (
        "- rsc_order first (first=ip then=web)",
        "~ crm_config: no-quorum-policy: stop -> freeze",
        "+ a: standby = on",
        "~ primitive web: type: web -> web2",
        "~ web: meta target-role: Started -> Stopped",
        "+ web: meta priority = 5",
        "~ op web-op: interval: 10s -> 20s",
        "> group g: the order is now y, x, ip",
        "> primitive ip: from resources to g",
        "+ primitive new (systemd:nginx)",
    )


def test_nothing_changed() -> None:
    assert describe_changes(configuration(BEFORE), configuration(BEFORE)) == ()
