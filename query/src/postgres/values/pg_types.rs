//! PostgreSQL's types and their functions, with the OIDs of PostgreSQL 15.

/// A row of `pg_type`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct PgType {
    /// The number by which clients know the type.
    pub(crate) oid: u32,
    /// The name in `pg_type`, `_` and the element's name for an array.
    pub(crate) name: &'static str,
    /// The OID of the arrays of this type, 0 if there are none.
    pub(crate) array: u32,
    /// The OID of the elements, 0 unless values have subscripts.
    pub(crate) element: u32,
    /// The bytes of a value, -1 if they vary, -2 for a C string.
    pub(crate) length: i16,
    /// `typtype`: `b` is a base type, `p` a pseudo-type.
    pub(crate) kind: char,
    /// `typcategory`, such as `N` for numbers.
    pub(crate) category: char,
    /// Whether PostgreSQL passes values in a register.
    pub(crate) by_value: bool,
    /// `typalign`: `c`, `s`, `i` or `d`.
    pub(crate) align: char,
    /// `typstorage`: `p`, `x` or `m`.
    pub(crate) storage: char,
    /// The function that reads the text form.
    pub(crate) input: &'static str,
    /// The function that writes the text form.
    pub(crate) output: &'static str,
    /// The function that reads the binary form, `-` if there is none.
    pub(crate) receive: &'static str,
    /// The function that writes the binary form, `-` if there is none.
    pub(crate) send: &'static str,
}

impl PgType {
    /// Whether values are arrays of the type `element`: `name` and the vectors have subscripts
    /// too, but forms of their own.
    pub(crate) fn is_array(&self) -> bool {
        self.input == "array_in"
    }

    /// The name in SQL, which `format_type` and `regtype` show.
    pub(crate) fn sql_name(&self) -> String {
        let base = match self.name.strip_prefix('_') {
            Some(element) if self.is_array() => element,
            _ => self.name,
        };
        let shown = match base {
            "bool" => "boolean",
            "bpchar" => "character",
            "char" => "\"char\"",
            "float4" => "real",
            "float8" => "double precision",
            "int2" => "smallint",
            "int4" => "integer",
            "int8" => "bigint",
            "time" => "time without time zone",
            "timestamp" => "timestamp without time zone",
            "timestamptz" => "timestamp with time zone",
            "timetz" => "time with time zone",
            "varbit" => "bit varying",
            "varchar" => "character varying",
            other => other,
        };
        let brackets = if self.is_array() { "[]" } else { "" };
        format!("{shown}{brackets}")
    }
}

/// The type of an OID.
pub(crate) fn type_by_oid(oid: u32) -> Option<&'static PgType> {
    TYPES.binary_search_by_key(&oid, |row| row.oid).ok().and_then(|index| TYPES.get(index))
}

/// The type of a name in `pg_type` or in SQL.
pub(crate) fn type_by_name(name: &str) -> Option<&'static PgType> {
    if let Some(element) = name.strip_suffix("[]") {
        return type_by_oid(type_by_name(element)?.array);
    }
    TYPES
        .iter()
        .find(|row| row.name == name)
        .or_else(|| TYPES.iter().find(|row| row.sql_name() == name))
}

/// The OID of an input or output function of a type.
pub(crate) fn function_by_name(name: &str) -> Option<u32> {
    let index = FUNCTIONS.binary_search_by(|row| row.0.cmp(name)).ok()?;
    FUNCTIONS.get(index).map(|row| row.1)
}

/// The name of an input or output function of a type.
pub(crate) fn function_by_oid(oid: u32) -> Option<&'static str> {
    FUNCTIONS.iter().find(|row| row.1 == oid).map(|row| row.0)
}

macro_rules! types {
    ($($oid:literal $name:tt $array:literal $element:literal $length:literal
       $kind:literal $category:literal $by_value:literal $align:literal $storage:literal
       $input:tt $output:tt $receive:tt $send:tt;)*) => {
        /// Every type that the port knows, in order of OIDs.
        pub(crate) static TYPES: &[PgType] = &[$(PgType {
            oid: $oid,
            name: stringify!($name),
            array: $array,
            element: $element,
            length: $length,
            kind: $kind,
            category: $category,
            by_value: $by_value,
            align: $align,
            storage: $storage,
            input: stringify!($input),
            output: stringify!($output),
            receive: stringify!($receive),
            send: stringify!($send),
        }),*];
    };
}

macro_rules! functions {
    ($($name:ident $oid:literal,)*) => {
        /// The functions that `TYPES` names, with their OIDs in `pg_proc`, in order of names.
        pub(crate) static FUNCTIONS: &[(&str, u32)] = &[$((stringify!($name), $oid)),*];
    };
}

// OID, name, array, element, length, kind, category, by value, align, storage, functions.
types! {
    16 bool 1000 0 1 'b' 'B' true 'c' 'p' boolin boolout boolrecv boolsend;
    17 bytea 1001 0 -1 'b' 'U' false 'i' 'x' byteain byteaout bytearecv byteasend;
    18 char 1002 0 1 'b' 'Z' true 'c' 'p' charin charout charrecv charsend;
    19 name 1003 18 64 'b' 'S' false 'c' 'p' namein nameout namerecv namesend;
    20 int8 1016 0 8 'b' 'N' true 'd' 'p' int8in int8out int8recv int8send;
    21 int2 1005 0 2 'b' 'N' true 's' 'p' int2in int2out int2recv int2send;
    22 int2vector 1006 21 -1 'b' 'A' false 'i' 'p'
        int2vectorin int2vectorout int2vectorrecv int2vectorsend;
    23 int4 1007 0 4 'b' 'N' true 'i' 'p' int4in int4out int4recv int4send;
    24 regproc 1008 0 4 'b' 'N' true 'i' 'p' regprocin regprocout regprocrecv regprocsend;
    25 text 1009 0 -1 'b' 'S' false 'i' 'x' textin textout textrecv textsend;
    26 oid 1028 0 4 'b' 'N' true 'i' 'p' oidin oidout oidrecv oidsend;
    27 tid 1010 0 6 'b' 'U' false 's' 'p' tidin tidout tidrecv tidsend;
    28 xid 1011 0 4 'b' 'U' true 'i' 'p' xidin xidout xidrecv xidsend;
    29 cid 1012 0 4 'b' 'U' true 'i' 'p' cidin cidout cidrecv cidsend;
    30 oidvector 1013 26 -1 'b' 'A' false 'i' 'p'
        oidvectorin oidvectorout oidvectorrecv oidvectorsend;
    114 json 199 0 -1 'b' 'U' false 'i' 'x' json_in json_out json_recv json_send;
    142 xml 143 0 -1 'b' 'U' false 'i' 'x' xml_in xml_out xml_recv xml_send;
    143 _xml 0 142 -1 'b' 'A' false 'i' 'x' array_in array_out array_recv array_send;
    199 _json 0 114 -1 'b' 'A' false 'i' 'x' array_in array_out array_recv array_send;
    271 _xid8 0 5069 -1 'b' 'A' false 'd' 'x' array_in array_out array_recv array_send;
    650 cidr 651 0 -1 'b' 'I' false 'i' 'm' cidr_in cidr_out cidr_recv cidr_send;
    651 _cidr 0 650 -1 'b' 'A' false 'i' 'x' array_in array_out array_recv array_send;
    700 float4 1021 0 4 'b' 'N' true 'i' 'p' float4in float4out float4recv float4send;
    701 float8 1022 0 8 'b' 'N' true 'd' 'p' float8in float8out float8recv float8send;
    705 unknown 0 0 -2 'p' 'X' false 'c' 'p' unknownin unknownout unknownrecv unknownsend;
    774 macaddr8 775 0 8 'b' 'U' false 'i' 'p'
        macaddr8_in macaddr8_out macaddr8_recv macaddr8_send;
    775 _macaddr8 0 774 -1 'b' 'A' false 'i' 'x' array_in array_out array_recv array_send;
    790 money 791 0 8 'b' 'N' true 'd' 'p' cash_in cash_out cash_recv cash_send;
    791 _money 0 790 -1 'b' 'A' false 'd' 'x' array_in array_out array_recv array_send;
    829 macaddr 1040 0 6 'b' 'U' false 'i' 'p' macaddr_in macaddr_out macaddr_recv macaddr_send;
    869 inet 1041 0 -1 'b' 'I' false 'i' 'm' inet_in inet_out inet_recv inet_send;
    1000 _bool 0 16 -1 'b' 'A' false 'i' 'x' array_in array_out array_recv array_send;
    1001 _bytea 0 17 -1 'b' 'A' false 'i' 'x' array_in array_out array_recv array_send;
    1002 _char 0 18 -1 'b' 'A' false 'i' 'x' array_in array_out array_recv array_send;
    1003 _name 0 19 -1 'b' 'A' false 'i' 'x' array_in array_out array_recv array_send;
    1005 _int2 0 21 -1 'b' 'A' false 'i' 'x' array_in array_out array_recv array_send;
    1006 _int2vector 0 22 -1 'b' 'A' false 'i' 'x' array_in array_out array_recv array_send;
    1007 _int4 0 23 -1 'b' 'A' false 'i' 'x' array_in array_out array_recv array_send;
    1008 _regproc 0 24 -1 'b' 'A' false 'i' 'x' array_in array_out array_recv array_send;
    1009 _text 0 25 -1 'b' 'A' false 'i' 'x' array_in array_out array_recv array_send;
    1010 _tid 0 27 -1 'b' 'A' false 'i' 'x' array_in array_out array_recv array_send;
    1011 _xid 0 28 -1 'b' 'A' false 'i' 'x' array_in array_out array_recv array_send;
    1012 _cid 0 29 -1 'b' 'A' false 'i' 'x' array_in array_out array_recv array_send;
    1013 _oidvector 0 30 -1 'b' 'A' false 'i' 'x' array_in array_out array_recv array_send;
    1014 _bpchar 0 1042 -1 'b' 'A' false 'i' 'x' array_in array_out array_recv array_send;
    1015 _varchar 0 1043 -1 'b' 'A' false 'i' 'x' array_in array_out array_recv array_send;
    1016 _int8 0 20 -1 'b' 'A' false 'd' 'x' array_in array_out array_recv array_send;
    1021 _float4 0 700 -1 'b' 'A' false 'i' 'x' array_in array_out array_recv array_send;
    1022 _float8 0 701 -1 'b' 'A' false 'd' 'x' array_in array_out array_recv array_send;
    1028 _oid 0 26 -1 'b' 'A' false 'i' 'x' array_in array_out array_recv array_send;
    1033 aclitem 1034 0 12 'b' 'U' false 'i' 'p' aclitemin aclitemout - -;
    1034 _aclitem 0 1033 -1 'b' 'A' false 'i' 'x' array_in array_out array_recv array_send;
    1040 _macaddr 0 829 -1 'b' 'A' false 'i' 'x' array_in array_out array_recv array_send;
    1041 _inet 0 869 -1 'b' 'A' false 'i' 'x' array_in array_out array_recv array_send;
    1042 bpchar 1014 0 -1 'b' 'S' false 'i' 'x' bpcharin bpcharout bpcharrecv bpcharsend;
    1043 varchar 1015 0 -1 'b' 'S' false 'i' 'x' varcharin varcharout varcharrecv varcharsend;
    1082 date 1182 0 4 'b' 'D' true 'i' 'p' date_in date_out date_recv date_send;
    1083 time 1183 0 8 'b' 'D' true 'd' 'p' time_in time_out time_recv time_send;
    1114 timestamp 1115 0 8 'b' 'D' true 'd' 'p'
        timestamp_in timestamp_out timestamp_recv timestamp_send;
    1115 _timestamp 0 1114 -1 'b' 'A' false 'd' 'x' array_in array_out array_recv array_send;
    1182 _date 0 1082 -1 'b' 'A' false 'i' 'x' array_in array_out array_recv array_send;
    1183 _time 0 1083 -1 'b' 'A' false 'd' 'x' array_in array_out array_recv array_send;
    1184 timestamptz 1185 0 8 'b' 'D' true 'd' 'p'
        timestamptz_in timestamptz_out timestamptz_recv timestamptz_send;
    1185 _timestamptz 0 1184 -1 'b' 'A' false 'd' 'x' array_in array_out array_recv array_send;
    1186 interval 1187 0 16 'b' 'T' false 'd' 'p'
        interval_in interval_out interval_recv interval_send;
    1187 _interval 0 1186 -1 'b' 'A' false 'd' 'x' array_in array_out array_recv array_send;
    1231 _numeric 0 1700 -1 'b' 'A' false 'i' 'x' array_in array_out array_recv array_send;
    1263 _cstring 0 2275 -1 'b' 'A' false 'i' 'x' array_in array_out array_recv array_send;
    1266 timetz 1270 0 12 'b' 'D' false 'd' 'p' timetz_in timetz_out timetz_recv timetz_send;
    1270 _timetz 0 1266 -1 'b' 'A' false 'd' 'x' array_in array_out array_recv array_send;
    1560 bit 1561 0 -1 'b' 'V' false 'i' 'x' bit_in bit_out bit_recv bit_send;
    1561 _bit 0 1560 -1 'b' 'A' false 'i' 'x' array_in array_out array_recv array_send;
    1562 varbit 1563 0 -1 'b' 'V' false 'i' 'x' varbit_in varbit_out varbit_recv varbit_send;
    1563 _varbit 0 1562 -1 'b' 'A' false 'i' 'x' array_in array_out array_recv array_send;
    1700 numeric 1231 0 -1 'b' 'N' false 'i' 'm'
        numeric_in numeric_out numeric_recv numeric_send;
    1790 refcursor 2201 0 -1 'b' 'U' false 'i' 'x' textin textout textrecv textsend;
    2201 _refcursor 0 1790 -1 'b' 'A' false 'i' 'x' array_in array_out array_recv array_send;
    2202 regprocedure 2207 0 4 'b' 'N' true 'i' 'p'
        regprocedurein regprocedureout regprocedurerecv regproceduresend;
    2203 regoper 2208 0 4 'b' 'N' true 'i' 'p' regoperin regoperout regoperrecv regopersend;
    2204 regoperator 2209 0 4 'b' 'N' true 'i' 'p'
        regoperatorin regoperatorout regoperatorrecv regoperatorsend;
    2205 regclass 2210 0 4 'b' 'N' true 'i' 'p'
        regclassin regclassout regclassrecv regclasssend;
    2206 regtype 2211 0 4 'b' 'N' true 'i' 'p' regtypein regtypeout regtyperecv regtypesend;
    2207 _regprocedure 0 2202 -1 'b' 'A' false 'i' 'x' array_in array_out array_recv array_send;
    2208 _regoper 0 2203 -1 'b' 'A' false 'i' 'x' array_in array_out array_recv array_send;
    2209 _regoperator 0 2204 -1 'b' 'A' false 'i' 'x' array_in array_out array_recv array_send;
    2210 _regclass 0 2205 -1 'b' 'A' false 'i' 'x' array_in array_out array_recv array_send;
    2211 _regtype 0 2206 -1 'b' 'A' false 'i' 'x' array_in array_out array_recv array_send;
    2249 record 2287 0 -1 'p' 'P' false 'd' 'x' record_in record_out record_recv record_send;
    2275 cstring 1263 0 -2 'p' 'P' false 'c' 'p'
        cstring_in cstring_out cstring_recv cstring_send;
    2276 any 0 0 4 'p' 'P' true 'i' 'p' any_in any_out - -;
    2277 anyarray 0 0 -1 'p' 'P' false 'd' 'x'
        anyarray_in anyarray_out anyarray_recv anyarray_send;
    2278 void 0 0 4 'p' 'P' true 'i' 'p' void_in void_out void_recv void_send;
    2283 anyelement 0 0 4 'p' 'P' true 'i' 'p' anyelement_in anyelement_out - -;
    2287 _record 0 2249 -1 'p' 'P' false 'd' 'x' array_in array_out array_recv array_send;
    2950 uuid 2951 0 16 'b' 'U' false 'c' 'p' uuid_in uuid_out uuid_recv uuid_send;
    2951 _uuid 0 2950 -1 'b' 'A' false 'i' 'x' array_in array_out array_recv array_send;
    3802 jsonb 3807 0 -1 'b' 'U' false 'i' 'x' jsonb_in jsonb_out jsonb_recv jsonb_send;
    3807 _jsonb 0 3802 -1 'b' 'A' false 'i' 'x' array_in array_out array_recv array_send;
    4072 jsonpath 4073 0 -1 'b' 'U' false 'i' 'x'
        jsonpath_in jsonpath_out jsonpath_recv jsonpath_send;
    4073 _jsonpath 0 4072 -1 'b' 'A' false 'i' 'x' array_in array_out array_recv array_send;
    4089 regnamespace 4090 0 4 'b' 'N' true 'i' 'p'
        regnamespacein regnamespaceout regnamespacerecv regnamespacesend;
    4090 _regnamespace 0 4089 -1 'b' 'A' false 'i' 'x' array_in array_out array_recv array_send;
    4096 regrole 4097 0 4 'b' 'N' true 'i' 'p' regrolein regroleout regrolerecv regrolesend;
    4097 _regrole 0 4096 -1 'b' 'A' false 'i' 'x' array_in array_out array_recv array_send;
    4191 regcollation 4192 0 4 'b' 'N' true 'i' 'p'
        regcollationin regcollationout regcollationrecv regcollationsend;
    4192 _regcollation 0 4191 -1 'b' 'A' false 'i' 'x' array_in array_out array_recv array_send;
    5069 xid8 271 0 8 'b' 'U' true 'd' 'p' xid8in xid8out xid8recv xid8send;
}

functions! {
    aclitemin 1031, aclitemout 1032, any_in 2294, any_out 2295, anyarray_in 2296,
    anyarray_out 2297, anyarray_recv 2502, anyarray_send 2503, anyelement_in 2312,
    anyelement_out 2313, array_in 750, array_out 751, array_recv 2400, array_send 2401,
    bit_in 1564, bit_out 1565, bit_recv 2456, bit_send 2457, boolin 1242, boolout 1243,
    boolrecv 2436, boolsend 2437, bpcharin 1044, bpcharout 1045, bpcharrecv 2430, bpcharsend 2431,
    byteain 1244, byteaout 31, bytearecv 2412, byteasend 2413, cash_in 886, cash_out 887,
    cash_recv 2492, cash_send 2493, charin 1245, charout 33, charrecv 2434, charsend 2435,
    cidin 52, cidout 53, cidr_in 1267, cidr_out 1427, cidr_recv 2498, cidr_send 2499,
    cidrecv 2442, cidsend 2443, cstring_in 2292, cstring_out 2293, cstring_recv 2500,
    cstring_send 2501, date_in 1084, date_out 1085, date_recv 2468, date_send 2469, float4in 200,
    float4out 201, float4recv 2424, float4send 2425, float8in 214, float8out 215, float8recv 2426,
    float8send 2427, inet_in 910, inet_out 911, inet_recv 2496, inet_send 2497, int2in 38,
    int2out 39, int2recv 2404, int2send 2405, int2vectorin 40, int2vectorout 41,
    int2vectorrecv 2410, int2vectorsend 2411, int4in 42, int4out 43, int4recv 2406, int4send 2407,
    int8in 460, int8out 461, int8recv 2408, int8send 2409, interval_in 1160, interval_out 1161,
    interval_recv 2478, interval_send 2479, json_in 321, json_out 322, json_recv 323,
    json_send 324, jsonb_in 3806, jsonb_out 3804, jsonb_recv 3805, jsonb_send 3803,
    jsonpath_in 4001, jsonpath_out 4003, jsonpath_recv 4002, jsonpath_send 4004, macaddr8_in 4110,
    macaddr8_out 4111, macaddr8_recv 3446, macaddr8_send 3447, macaddr_in 436, macaddr_out 437,
    macaddr_recv 2494, macaddr_send 2495, namein 34, nameout 35, namerecv 2422, namesend 2423,
    numeric_in 1701, numeric_out 1702, numeric_recv 2460, numeric_send 2461, oidin 1798,
    oidout 1799, oidrecv 2418, oidsend 2419, oidvectorin 54, oidvectorout 55, oidvectorrecv 2420,
    oidvectorsend 2421, record_in 2290, record_out 2291, record_recv 2402, record_send 2403,
    regclassin 2218, regclassout 2219, regclassrecv 2452, regclasssend 2453, regcollationin 4193,
    regcollationout 4194, regcollationrecv 4196, regcollationsend 4197, regnamespacein 4084,
    regnamespaceout 4085, regnamespacerecv 4087, regnamespacesend 4088, regoperatorin 2216,
    regoperatorout 2217, regoperatorrecv 2450, regoperatorsend 2451, regoperin 2214,
    regoperout 2215, regoperrecv 2448, regopersend 2449, regprocedurein 2212,
    regprocedureout 2213, regprocedurerecv 2446, regproceduresend 2447, regprocin 44,
    regprocout 45, regprocrecv 2444, regprocsend 2445, regrolein 4098, regroleout 4092,
    regrolerecv 4094, regrolesend 4095, regtypein 2220, regtypeout 2221, regtyperecv 2454,
    regtypesend 2455, textin 46, textout 47, textrecv 2414, textsend 2415, tidin 48, tidout 49,
    tidrecv 2438, tidsend 2439, time_in 1143, time_out 1144, time_recv 2470, time_send 2471,
    timestamp_in 1312, timestamp_out 1313, timestamp_recv 2474, timestamp_send 2475,
    timestamptz_in 1150, timestamptz_out 1151, timestamptz_recv 2476, timestamptz_send 2477,
    timetz_in 1350, timetz_out 1351, timetz_recv 2472, timetz_send 2473, unknownin 109,
    unknownout 110, unknownrecv 2416, unknownsend 2417, uuid_in 2952, uuid_out 2953,
    uuid_recv 2961, uuid_send 2962, varbit_in 1579, varbit_out 1580, varbit_recv 2458,
    varbit_send 2459, varcharin 1046, varcharout 1047, varcharrecv 2432, varcharsend 2433,
    void_in 2298, void_out 2299, void_recv 3120, void_send 3121, xid8in 5070, xid8out 5081,
    xid8recv 5082, xid8send 5083, xidin 50, xidout 51, xidrecv 2440, xidsend 2441, xml_in 2893,
    xml_out 2894, xml_recv 2898, xml_send 2899,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_sorted_and_refer_to_each_other() {
        assert!(TYPES.windows(2).all(|pair| pair[0].oid < pair[1].oid));
        assert!(FUNCTIONS.windows(2).all(|pair| pair[0].0 < pair[1].0));
        for row in TYPES {
            for name in [row.input, row.output, row.receive, row.send] {
                assert!(name == "-" || function_by_name(name).is_some(), "{name}");
            }
            if row.array != 0 {
                let array = type_by_oid(row.array).unwrap();
                assert_eq!(array.element, row.oid, "{}", row.name);
                assert_eq!(array.name, format!("_{}", row.name));
                assert!(array.is_array());
            }
            assert!(row.element == 0 || type_by_oid(row.element).is_some(), "{}", row.name);
        }
    }

    #[test]
    fn types_are_found_by_their_names() {
        assert_eq!(type_by_name("int4").unwrap().oid, 23);
        assert_eq!(type_by_name("timestamp with time zone").unwrap().oid, 1184);
        assert_eq!(type_by_name("bigint[]").unwrap().oid, 1016);
        assert_eq!(type_by_name("int8[]").unwrap().oid, 1016);
        assert!(type_by_name("int8[][]").is_none());
        assert_eq!(type_by_name("char").unwrap().sql_name(), "\"char\"");
        assert_eq!(function_by_name("int4recv"), Some(2406));
        assert_eq!(function_by_oid(2407), Some("int4send"));
        assert!(type_by_name("nothing").is_none());
    }
}
