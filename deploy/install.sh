# Sourced by deploy/up and tests/run: installs what deploy/packages.txt names and is not there yet.

# listed_packages ROOT [tests]: lines of the list, without comments; a package, or alternatives as
# "a|b". What only tests need is left out unless they ask.
listed_packages() {
    sed 's/#.*//' "$1/deploy/packages.txt" | tr -d ' \t' |
        if [ "${2:-}" = tests ]; then sed '/^\[/d'; else sed '/^\[/,$d'; fi | sed '/^$/d'
}

# missing_packages ROOT [tests]: what no installed package is, nor provides (elsewhere than in Debian
# nodejs brings its own npm).
missing_packages() {
    local line package there
    there=$(dpkg-query -W -f '${db:Status-Status} ${Package}, ${Provides}\n' |
        sed -n 's/^installed //p' | tr ',' '\n' | sed 's/(.*//; s/:.*//; s/ //g')
    for line in $(listed_packages "$@"); do
        for package in ${line//|/ }; do
            grep -qxF -- "$package" <<<"$there" && continue 2
        done
        echo "$line"
    done
}

# Of each line's alternatives the first that apt knows, or else the first, for apt to complain of.
known_packages() {
    local line package
    for line in "$@"; do
        for package in ${line//|/ }; do
            apt-cache show "$package" >/dev/null 2>&1 && break
            package=${line%%|*}
        done
        echo "$package"
    done
}

# install_packages ROOT_OF_THE_CHECKOUT [tests]
install_packages() {
    local root=$1 sudo='' missing status=0
    if ! command -v dpkg-query >/dev/null; then
        echo "This script installs Debian packages; on another system install what" >&2
        echo "deploy/packages.txt lists by hand, and build with cmake --preset release." >&2
        return 1
    fi
    missing=$(missing_packages "$@")
    [ -n "$missing" ] || return 0
    if [ "$(id -u)" -ne 0 ]; then
        sudo=$(command -v sudo) || {
            echo "These packages are missing, and this is neither root nor is there sudo:" >&2
            echo $missing >&2
            echo "Ask somebody who is root to: apt-get install" $(known_packages $missing) >&2
            return 1
        }
    fi
    echo "== installing" $(echo "$missing" | wc -l) "packages"
    # The servers among them must not be started: we run our own, privately. What was there before
    # is put back.
    local policy=/usr/sbin/policy-rc.d kept=''
    if [ -e $policy ]; then
        kept=$(mktemp)
        $sudo cp -p $policy "$kept"
    fi
    printf '#!/bin/sh\nexit 101\n' | $sudo tee $policy >/dev/null
    $sudo chmod 755 $policy
    # A default cluster would only lie about, stopped.
    $sudo mkdir -p /etc/postgresql-common
    local cluster_conf=/etc/postgresql-common/createcluster.conf made_conf=''
    if [ ! -e $cluster_conf ]; then
        echo 'create_main_cluster = false' | $sudo tee $cluster_conf >/dev/null
        made_conf=1
    fi
    {
        $sudo env DEBIAN_FRONTEND=noninteractive apt-get update -q &&
            $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -qy \
                --no-install-recommends -o Dpkg::Options::=--force-confold \
                $(known_packages $missing)
    } || status=1
    if [ -n "$kept" ]; then
        $sudo mv "$kept" $policy
    else
        $sudo rm -f $policy
    fi
    [ -z "$made_conf" ] || $sudo rm -f $cluster_conf
    if [ $status -ne 0 ]; then
        echo "Some packages could not be installed; see above. Without network access to a Debian" >&2
        echo "mirror this cannot work." >&2
    fi
    return $status
}
