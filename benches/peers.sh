# Sourced by the benches that run peers, after common.sh: DuckDB and Polars from PyPI, Flink from
# Maven Central, and payments in the forms that all read. Everything is fetched, compiled and
# written once, into the cache folder.
#
#   python_peers                      makes $cache/venv
#   flink_peer FOLDER CLASS           compiles FOLDER/CLASS.java into $cache/flink/classes, with the
#                                     jars of side_by_side/flink/pom.xml
#   payments_of [FILE.parquet]        sets $data, a folder with payments.parquet, payments.ndjson
#                                     and their number in rows

python_peers() {
    [ ! -e "$cache/venv/ready" ] || return 0
    python3 -m venv "$cache/venv"
    "$cache/venv/bin/pip" install --quiet polars==2.1.0 duckdb==2.0.0
    touch "$cache/venv/ready"
}

flink_peer() {
    jars=$root/benches/side_by_side/flink/pom.xml
    if ! cmp -s "$jars" "$cache/flink/pom.xml"; then
        rm -rf "$cache/flink"
        mkdir -p "$cache/flink/classes"
        mvn --quiet --batch-mode --file "$jars" \
            org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies \
            -DoutputDirectory="$cache/flink/lib" -DincludeScope=runtime
        cp "$jars" "$cache/flink/"
    fi
    if ! cmp -s "$1/$2.java" "$cache/flink/$2.java"; then
        javac -cp "$cache/flink/lib/*" -d "$cache/flink/classes" "$1/$2.java"
        cp "$1/$2.java" "$cache/flink/"
    fi
}

payments_of() {
    if [ $# -gt 0 ]; then
        input=$1
        data=$cache/data-$(cksum <"$input" | cut -d' ' -f1)
    else
        input=$cache/generated.parquet
        data=$cache/data-generated
        if [ ! -e "$input" ]; then
            "$program" generate --out "$cache/part.parquet" && mv "$cache/part.parquet" "$input"
        fi
    fi
    if [ ! -e "$data/rows" ]; then
        echo "writing $input as Parquet and NDJSON"
        "$cache/venv/bin/python" "$root/benches/side_by_side/prepare.py" "$input" "$data"
    fi
}
