#compdef scutum
# Completion of scutum's commands. Generated: scutum completions zsh prints it.
_scutum_verbs() {
  case "$1" in
    '') printf '%b\n' 'install:Set up a gateway on this host, from nothing to an answer. Safe to run again at any time.\nuninstall:Stop everything and remove this install; data and configuration stay unless told twice.\nup:Start every service and wait until all are healthy.\ndown:Stop every service; no process is left.\nrestart:Restart all services, or the ones named; the proxy without refusing a connection.\nps:Show the services, state, restarts and why the last one happened. Needs no server.\nlogs:Show what the services wrote, merged in time order.\nstatus:Show in one look whether the gateway is healthy.\nconfig:Where the configuration lies and what it says.\nversion:Show the version of this command, and with --all of everything that it runs.\ncompletions:Print a completion script for your shell; it completes names that the server knows, too.\nchat:Send one message through the gateway and print the answer as it comes.\nusage:Show requests, tokens and cost, dearest first, or day by day.\nproviders:The vendor accounts and servers that requests go to.\nmodels:The models that clients may call, each at a provider.\naliases:Names such as fast or smart, and the models that they stand for.\nteams:The teams that keys belong to, spend is reported for each.\nkeys:The keys that clients authenticate with. A key itself is shown once, when it is made.\nlimits:Rate limits, exact over all workers and hosts. A request that is over one gets 429 with Retry-After.\nbudgets:What may be spent in a day, week or month. At the end of one, requests get 429 budget_exceeded.\nsettings:The server'"'"'s own settings; they take effect while it runs.\nlicense:What this install is licensed for. Traffic never depends on it.\nmaintenance:Let no new requests in while something is mended; those in flight are finished.\nlogin:Log in to the context'"'"'s server with its master key.\nlogout:Forget the context'"'"'s session.\ncontext:The servers that this command knows.' ;;
    config) printf '%b\n' 'path:Print the directory of the configuration.\nshow:Print the settings of this host; of secrets only whether they are set.' ;;
    providers) printf '%b\n' 'list:List the providers.\nshow:Show one provider; of its key only the beginning and the end.\nadd:Add a provider; its key is kept encrypted and never shown again.\nupdate:Change a provider; what is not named stays.\ndelete:Delete a provider.\npresets:List the vendors that --kind knows, and what each of them needs.\ntest:Make one small real call to a provider and say what came of it.\nsim:Set the dials of a simulated provider, how slow it is, how it fails, what it answers.\nkeys:The keys between which a provider'"'"'s calls are shared out.' ;;
    'providers keys') printf '%b\n' 'list:List a provider'"'"'s keys, the beginning and the end of each.\nadd:Add a key beside those there are; one that is told to wait rests while the others go on.\nremove:Remove a key; the oldest of the others takes the place of the primary one.' ;;
    models) printf '%b\n' 'list:List the models.\nshow:Show one model.\nadd:Add a model at a provider.\nupdate:Change a model; --price none goes back to the catalogue'"'"'s.\ndelete:Delete a model, clients can no longer call it.\ncatalog:List the models that vendors are known to offer, with context size and price.' ;;
    aliases) printf '%b\n' 'list:List the aliases and what they resolve to now.\nset:Create an alias, or replace what it stands for.\ndelete:Delete an alias.' ;;
    teams) printf '%b\n' 'list:List the teams.\nshow:Show one team.\ncreate:Create a team.\ndelete:Delete a team that has no live keys; its spend stays in the reports.' ;;
    keys) printf '%b\n' 'list:List the keys, without their secrets.\nshow:Show one key, what it may do and until when.\ncreate:Create a key and print it, once.\nrevoke:Revoke a key for good, within a second no proxy accepts it.\nrotate:Give a key a new secret and print it, once.' ;;
    limits) printf '%b\n' 'list:List the rate limits.\nshow:Show one limit.\ncreate:Limit a team, a key, a user, a model, a team at a model, or everything.\nupdate:Change a limit; `none` takes a rate away. It holds within a second.\ndelete:Lift a limit.' ;;
    budgets) printf '%b\n' 'list:List the budgets with what is spent and left.\nshow:Show one budget as it stands.\ncreate:Cap what a team, a key, a user, a unit, an org or everything may cost.\nupdate:Change a budget. It holds within a second.\ndelete:Lift a budget; what was spent stays in the reports.' ;;
    settings) printf '%b\n' 'list:List the settings with their values and defaults.\nget:Print one setting'"'"'s value.\nset:Set one setting.' ;;
    license) printf '%b\n' 'status:Show the licence in force, what it has and how long it lasts; needs no session.\nactivate:Put a licence in force at once, without a restart; the one before stays in the history.\nhistory:List every licence that was activated here, the youngest first.\nissue:Sign a licence and print it; the server that it is for need not be reachable.\nauthority:The issuer'"'"'s side, who signs licences.' ;;
    'license authority') printf '%b\n' 'create:Make a key that signs licences. It lies in a directory of its own, readable by you alone, keep a copy.\nshow:Show the authority that licences are issued by here, without its private key.' ;;
    maintenance) printf '%b\n' 'on:Answer 503 with Retry-After to all new requests but health checks, within a second on every proxy.\noff:Take requests again.\nstatus:Show whether maintenance is on, and since when.' ;;
    context) printf '%b\n' 'list:List the contexts; a star marks the one in use.\nuse:Talk to this server from now on.\nadd:Make a server known.\ndelete:Forget a server, its session and its chat key; the server itself is not touched.' ;;
  esac
}
_scutum_flags() {
  case "$1" in
    '') printf '%b\n' '-o:How to print data.\n--output:How to print data.\n--quiet:Say nothing but data and errors.\n--verbose:Say more on stderr.\n--debug:Show tracebacks.\n--no-color:No colours (NO_COLOR).\n--no-progress:No live progress lines.\n--utc:Times in UTC.\n--context:The server to talk to (SCUTUM_CONTEXT).\n--help:Show this help.\n-h:Show this help.' ;;
    install) printf '%b\n' '--from:A checkout, a wheel, or a wheel'"'"'s address.\n--sha256:The wheel'"'"'s sum; needed with an address.\n--proxy-port:Where clients connect (4000).\n--admin-port:Where the admin API listens (8086).\n--proxy-workers:Proxy processes (one per CPU).\n--database-url:An external PostgreSQL; - reads the URL from standard input.\n--redis-url:An external Redis or Valkey; - reads the URL from standard input.\n--with:The library for Gemini, Vertex AI, Bedrock and more, about 260 MB.\n--run-as:As root, who runs the services (scutum).\n--home:The deploy root.\n-y:Ask nothing.\n--yes:Ask nothing.\n--dry-run:Show what would change; change nothing.\n-o:How to print data.\n--output:How to print data.\n--quiet:Say nothing but data and errors.\n--verbose:Say more on stderr.\n--debug:Show tracebacks.\n--no-color:No colours (NO_COLOR).\n--no-progress:No live progress lines.\n--utc:Times in UTC.\n--help:Show this help.\n-h:Show this help.' ;;
    uninstall) printf '%b\n' '--delete-data:Also delete the database, secrets, backups and logs.\n--home:The deploy root.\n-y:Ask nothing.\n--yes:Ask nothing.\n--dry-run:Show what would change; change nothing.\n-o:How to print data.\n--output:How to print data.\n--quiet:Say nothing but data and errors.\n--verbose:Say more on stderr.\n--debug:Show tracebacks.\n--no-color:No colours (NO_COLOR).\n--no-progress:No live progress lines.\n--utc:Times in UTC.\n--help:Show this help.\n-h:Show this help.' ;;
    up) printf '%b\n' '--home:The deploy root.\n-o:How to print data.\n--output:How to print data.\n--quiet:Say nothing but data and errors.\n--verbose:Say more on stderr.\n--debug:Show tracebacks.\n--no-color:No colours (NO_COLOR).\n--no-progress:No live progress lines.\n--utc:Times in UTC.\n--help:Show this help.\n-h:Show this help.' ;;
    down) printf '%b\n' '--home:The deploy root.\n-o:How to print data.\n--output:How to print data.\n--quiet:Say nothing but data and errors.\n--verbose:Say more on stderr.\n--debug:Show tracebacks.\n--no-color:No colours (NO_COLOR).\n--no-progress:No live progress lines.\n--utc:Times in UTC.\n--help:Show this help.\n-h:Show this help.' ;;
    restart) printf '%b\n' '--home:The deploy root.\n-o:How to print data.\n--output:How to print data.\n--quiet:Say nothing but data and errors.\n--verbose:Say more on stderr.\n--debug:Show tracebacks.\n--no-color:No colours (NO_COLOR).\n--no-progress:No live progress lines.\n--utc:Times in UTC.\n--help:Show this help.\n-h:Show this help.' ;;
    ps) printf '%b\n' '--home:The deploy root.\n-o:How to print data.\n--output:How to print data.\n--quiet:Say nothing but data and errors.\n--verbose:Say more on stderr.\n--debug:Show tracebacks.\n--no-color:No colours (NO_COLOR).\n--no-progress:No live progress lines.\n--utc:Times in UTC.\n--help:Show this help.\n-h:Show this help.' ;;
    logs) printf '%b\n' '-f:Go on until interrupted.\n--follow:Go on until interrupted.\n--since:Not older than this.\n-n:So many at most (100).\n--lines:So many at most (100).\n--home:The deploy root.\n-o:How to print data.\n--output:How to print data.\n--quiet:Say nothing but data and errors.\n--verbose:Say more on stderr.\n--debug:Show tracebacks.\n--no-color:No colours (NO_COLOR).\n--no-progress:No live progress lines.\n--utc:Times in UTC.\n--help:Show this help.\n-h:Show this help.' ;;
    status) printf '%b\n' '--home:The deploy root.\n-o:How to print data.\n--output:How to print data.\n--quiet:Say nothing but data and errors.\n--verbose:Say more on stderr.\n--debug:Show tracebacks.\n--no-color:No colours (NO_COLOR).\n--no-progress:No live progress lines.\n--utc:Times in UTC.\n--help:Show this help.\n-h:Show this help.' ;;
    config) printf '%b\n' '-o:How to print data.\n--output:How to print data.\n--quiet:Say nothing but data and errors.\n--verbose:Say more on stderr.\n--debug:Show tracebacks.\n--no-color:No colours (NO_COLOR).\n--no-progress:No live progress lines.\n--utc:Times in UTC.\n--help:Show this help.\n-h:Show this help.' ;;
    'config path') printf '%b\n' '--home:The deploy root.\n-o:How to print data.\n--output:How to print data.\n--quiet:Say nothing but data and errors.\n--verbose:Say more on stderr.\n--debug:Show tracebacks.\n--no-color:No colours (NO_COLOR).\n--no-progress:No live progress lines.\n--utc:Times in UTC.\n--help:Show this help.\n-h:Show this help.' ;;
    'config show') printf '%b\n' '--home:The deploy root.\n-o:How to print data.\n--output:How to print data.\n--quiet:Say nothing but data and errors.\n--verbose:Say more on stderr.\n--debug:Show tracebacks.\n--no-color:No colours (NO_COLOR).\n--no-progress:No live progress lines.\n--utc:Times in UTC.\n--help:Show this help.\n-h:Show this help.' ;;
    version) printf '%b\n' '--all:Also the server, its schema and its parts.\n--home:The deploy root.\n-o:How to print data.\n--output:How to print data.\n--quiet:Say nothing but data and errors.\n--verbose:Say more on stderr.\n--debug:Show tracebacks.\n--no-color:No colours (NO_COLOR).\n--no-progress:No live progress lines.\n--utc:Times in UTC.\n--help:Show this help.\n-h:Show this help.' ;;
    completions) printf '%b\n' '-o:How to print data.\n--output:How to print data.\n--quiet:Say nothing but data and errors.\n--verbose:Say more on stderr.\n--debug:Show tracebacks.\n--no-color:No colours (NO_COLOR).\n--no-progress:No live progress lines.\n--utc:Times in UTC.\n--help:Show this help.\n-h:Show this help.' ;;
    chat) printf '%b\n' '--model:A model or an alias.\n--system:How the model should behave.\n--no-stream:Wait for the whole answer.\n--key:- reads the key from standard input; else the context'"'"'s, or SCUTUM_KEY.\n-o:How to print data.\n--output:How to print data.\n--quiet:Say nothing but data and errors.\n--verbose:Say more on stderr.\n--debug:Show tracebacks.\n--no-color:No colours (NO_COLOR).\n--no-progress:No live progress lines.\n--utc:Times in UTC.\n--context:The server to talk to (SCUTUM_CONTEXT).\n--help:Show this help.\n-h:Show this help.' ;;
    usage) printf '%b\n' '--by:org, unit, team, key, user, model, provider, route, day; two with a comma.\n--since:24h; from midnight 30d or a date; an ISO time.\n--until:The same forms; default now.\n--zone:Whose days, as Europe/Berlin; default the org'"'"'s.\n--trend:Compare with the period before.\n--org:Only of this org.\n--unit:Only of this unit.\n--team:Only of this team.\n--key:Only of this key.\n--user:Only of this user.\n--model:Only of this model.\n--provider:Only of this provider.\n--route:Only of this one, as /v1/embeddings.\n--export:Write all of it to FILE.csv, FILE.json or FILE.parquet.\n--columns:Only these, in this order.\n--sort:By this column; -COLUMN for the other way.\n--filter:Only where it holds; may be repeated.\n--limit:At most so many; 100 unless told.\n--all:Without a limit.\n-o:How to print data.\n--output:How to print data.\n--quiet:Say nothing but data and errors.\n--verbose:Say more on stderr.\n--debug:Show tracebacks.\n--no-color:No colours (NO_COLOR).\n--no-progress:No live progress lines.\n--utc:Times in UTC.\n--context:The server to talk to (SCUTUM_CONTEXT).\n--help:Show this help.\n-h:Show this help.' ;;
    providers) printf '%b\n' '-o:How to print data.\n--output:How to print data.\n--quiet:Say nothing but data and errors.\n--verbose:Say more on stderr.\n--debug:Show tracebacks.\n--no-color:No colours (NO_COLOR).\n--no-progress:No live progress lines.\n--utc:Times in UTC.\n--context:The server to talk to (SCUTUM_CONTEXT).\n--help:Show this help.\n-h:Show this help.' ;;
    'providers list') printf '%b\n' '--columns:Only these, in this order.\n--sort:By this column; -COLUMN for the other way.\n--filter:Only where it holds; may be repeated.\n--limit:At most so many; 100 unless told.\n--all:Without a limit.\n-o:How to print data.\n--output:How to print data.\n--quiet:Say nothing but data and errors.\n--verbose:Say more on stderr.\n--debug:Show tracebacks.\n--no-color:No colours (NO_COLOR).\n--no-progress:No live progress lines.\n--utc:Times in UTC.\n--context:The server to talk to (SCUTUM_CONTEXT).\n--help:Show this help.\n-h:Show this help.' ;;
    'providers show') printf '%b\n' '-o:How to print data.\n--output:How to print data.\n--quiet:Say nothing but data and errors.\n--verbose:Say more on stderr.\n--debug:Show tracebacks.\n--no-color:No colours (NO_COLOR).\n--no-progress:No live progress lines.\n--utc:Times in UTC.\n--context:The server to talk to (SCUTUM_CONTEXT).\n--help:Show this help.\n-h:Show this help.' ;;
    'providers add') printf '%b\n' '--kind:See `scutum providers presets`; openai and anthropic are any server of that format.\n--base-url:Where it listens; with /v1 for the kind openai.\n--api-key-stdin:Read the vendor'"'"'s key from standard input.\n--region:For vertex and bedrock.\n--project:For vertex, when not the service account'"'"'s own.\n--vendor:For litellm, its name of the vendor, such as cohere.\n--timeout:For a whole call.\n--ca-bundle:On the server, who vouches for its certificate.\n--proxy:A forward proxy on the way to it, http,//[USER@]HOST,PORT.\n--responses:Whether an openai server has the Responses API itself.\n--max-tokens:For anthropic, the bound where a client sets none; 4096 by default.\n--structured-output:For anthropic, how the server takes a JSON schema.\n--api-version:Azure'"'"'s, when not the preset'"'"'s.\n--dry-run:Show what would change; change nothing.\n-o:How to print data.\n--output:How to print data.\n--quiet:Say nothing but data and errors.\n--verbose:Say more on stderr.\n--debug:Show tracebacks.\n--no-color:No colours (NO_COLOR).\n--no-progress:No live progress lines.\n--utc:Times in UTC.\n--context:The server to talk to (SCUTUM_CONTEXT).\n--help:Show this help.\n-h:Show this help.' ;;
    'providers update') printf '%b\n' '--name:A new name.\n--base-url:Where it listens; with /v1 for the kind openai.\n--api-key-stdin:Read the vendor'"'"'s key from standard input.\n--region:For vertex and bedrock.\n--project:For vertex, when not the service account'"'"'s own.\n--timeout:For a whole call.\n--ca-bundle:On the server, who vouches for its certificate.\n--proxy:A forward proxy on the way to it, http,//[USER@]HOST,PORT.\n--proxy-password-stdin:Read the password of the proxy'"'"'s user from standard input.\n--responses:Whether an openai server has the Responses API itself.\n--max-tokens:For anthropic, the bound where a client sets none; 4096 by default.\n--structured-output:For anthropic, how the server takes a JSON schema.\n--api-version:Azure'"'"'s, when not the preset'"'"'s.\n--dry-run:Show what would change; change nothing.\n-o:How to print data.\n--output:How to print data.\n--quiet:Say nothing but data and errors.\n--verbose:Say more on stderr.\n--debug:Show tracebacks.\n--no-color:No colours (NO_COLOR).\n--no-progress:No live progress lines.\n--utc:Times in UTC.\n--context:The server to talk to (SCUTUM_CONTEXT).\n--help:Show this help.\n-h:Show this help.' ;;
    'providers delete') printf '%b\n' '--cascade:Delete its models too.\n-y:Ask nothing.\n--yes:Ask nothing.\n--dry-run:Show what would change; change nothing.\n-o:How to print data.\n--output:How to print data.\n--quiet:Say nothing but data and errors.\n--verbose:Say more on stderr.\n--debug:Show tracebacks.\n--no-color:No colours (NO_COLOR).\n--no-progress:No live progress lines.\n--utc:Times in UTC.\n--context:The server to talk to (SCUTUM_CONTEXT).\n--help:Show this help.\n-h:Show this help.' ;;
    'providers presets') printf '%b\n' '--columns:Only these, in this order.\n--sort:By this column; -COLUMN for the other way.\n--filter:Only where it holds; may be repeated.\n--limit:At most so many; 100 unless told.\n--all:Without a limit.\n-o:How to print data.\n--output:How to print data.\n--quiet:Say nothing but data and errors.\n--verbose:Say more on stderr.\n--debug:Show tracebacks.\n--no-color:No colours (NO_COLOR).\n--no-progress:No live progress lines.\n--utc:Times in UTC.\n--context:The server to talk to (SCUTUM_CONTEXT).\n--help:Show this help.\n-h:Show this help.' ;;
    'providers test') printf '%b\n' '-o:How to print data.\n--output:How to print data.\n--quiet:Say nothing but data and errors.\n--verbose:Say more on stderr.\n--debug:Show tracebacks.\n--no-color:No colours (NO_COLOR).\n--no-progress:No live progress lines.\n--utc:Times in UTC.\n--context:The server to talk to (SCUTUM_CONTEXT).\n--help:Show this help.\n-h:Show this help.' ;;
    'providers sim') printf '%b\n' '--latency:Before each answer.\n--ttft:Before a stream'"'"'s first piece.\n--chunk:Between a stream'"'"'s pieces.\n--error-rate:The share of calls that fail, 0.3 or 30 percent.\n--error-kind:How they fail.\n--shape:Of the answers.\n--tokens:In each answer.\n--seed:Another seed, other answers.\n--reset:First set every dial back.\n--dry-run:Show what would change; change nothing.\n-o:How to print data.\n--output:How to print data.\n--quiet:Say nothing but data and errors.\n--verbose:Say more on stderr.\n--debug:Show tracebacks.\n--no-color:No colours (NO_COLOR).\n--no-progress:No live progress lines.\n--utc:Times in UTC.\n--context:The server to talk to (SCUTUM_CONTEXT).\n--help:Show this help.\n-h:Show this help.' ;;
    'providers keys') printf '%b\n' '-o:How to print data.\n--output:How to print data.\n--quiet:Say nothing but data and errors.\n--verbose:Say more on stderr.\n--debug:Show tracebacks.\n--no-color:No colours (NO_COLOR).\n--no-progress:No live progress lines.\n--utc:Times in UTC.\n--context:The server to talk to (SCUTUM_CONTEXT).\n--help:Show this help.\n-h:Show this help.' ;;
    'providers keys list') printf '%b\n' '--columns:Only these, in this order.\n--sort:By this column; -COLUMN for the other way.\n--filter:Only where it holds; may be repeated.\n--limit:At most so many; 100 unless told.\n--all:Without a limit.\n-o:How to print data.\n--output:How to print data.\n--quiet:Say nothing but data and errors.\n--verbose:Say more on stderr.\n--debug:Show tracebacks.\n--no-color:No colours (NO_COLOR).\n--no-progress:No live progress lines.\n--utc:Times in UTC.\n--context:The server to talk to (SCUTUM_CONTEXT).\n--help:Show this help.\n-h:Show this help.' ;;
    'providers keys add') printf '%b\n' '--api-key-stdin:Read the key from standard input.\n--dry-run:Show what would change; change nothing.\n-o:How to print data.\n--output:How to print data.\n--quiet:Say nothing but data and errors.\n--verbose:Say more on stderr.\n--debug:Show tracebacks.\n--no-color:No colours (NO_COLOR).\n--no-progress:No live progress lines.\n--utc:Times in UTC.\n--context:The server to talk to (SCUTUM_CONTEXT).\n--help:Show this help.\n-h:Show this help.' ;;
    'providers keys remove') printf '%b\n' '-y:Ask nothing.\n--yes:Ask nothing.\n--dry-run:Show what would change; change nothing.\n-o:How to print data.\n--output:How to print data.\n--quiet:Say nothing but data and errors.\n--verbose:Say more on stderr.\n--debug:Show tracebacks.\n--no-color:No colours (NO_COLOR).\n--no-progress:No live progress lines.\n--utc:Times in UTC.\n--context:The server to talk to (SCUTUM_CONTEXT).\n--help:Show this help.\n-h:Show this help.' ;;
    models) printf '%b\n' '-o:How to print data.\n--output:How to print data.\n--quiet:Say nothing but data and errors.\n--verbose:Say more on stderr.\n--debug:Show tracebacks.\n--no-color:No colours (NO_COLOR).\n--no-progress:No live progress lines.\n--utc:Times in UTC.\n--context:The server to talk to (SCUTUM_CONTEXT).\n--help:Show this help.\n-h:Show this help.' ;;
    'models list') printf '%b\n' '--provider:Only those of this one.\n--columns:Only these, in this order.\n--sort:By this column; -COLUMN for the other way.\n--filter:Only where it holds; may be repeated.\n--limit:At most so many; 100 unless told.\n--all:Without a limit.\n-o:How to print data.\n--output:How to print data.\n--quiet:Say nothing but data and errors.\n--verbose:Say more on stderr.\n--debug:Show tracebacks.\n--no-color:No colours (NO_COLOR).\n--no-progress:No live progress lines.\n--utc:Times in UTC.\n--context:The server to talk to (SCUTUM_CONTEXT).\n--help:Show this help.\n-h:Show this help.' ;;
    'models show') printf '%b\n' '-o:How to print data.\n--output:How to print data.\n--quiet:Say nothing but data and errors.\n--verbose:Say more on stderr.\n--debug:Show tracebacks.\n--no-color:No colours (NO_COLOR).\n--no-progress:No live progress lines.\n--utc:Times in UTC.\n--context:The server to talk to (SCUTUM_CONTEXT).\n--help:Show this help.\n-h:Show this help.' ;;
    'models add') printf '%b\n' '--provider:Id or name; default, the one that the catalogue lists it for.\n--upstream-model:The provider'"'"'s name for it; default, the same.\n--kind:What it does.\n--price:US dollars per million tokens, over the catalogue'"'"'s price.\n--rpm:Requests. So many the provider takes in a minute; none, not known. For aliases with --strategy usage-based.\n--tpm:Tokens. So many the provider takes in a minute; none, not known. For aliases with --strategy usage-based.\n--dry-run:Show what would change; change nothing.\n-o:How to print data.\n--output:How to print data.\n--quiet:Say nothing but data and errors.\n--verbose:Say more on stderr.\n--debug:Show tracebacks.\n--no-color:No colours (NO_COLOR).\n--no-progress:No live progress lines.\n--utc:Times in UTC.\n--context:The server to talk to (SCUTUM_CONTEXT).\n--help:Show this help.\n-h:Show this help.' ;;
    'models update') printf '%b\n' '--name:A new name.\n--upstream-model:The provider'"'"'s name for it; default, the same.\n--kind:What it does.\n--price:US dollars per million tokens, over the catalogue'"'"'s price.\n--rpm:Requests. So many the provider takes in a minute; none, not known. For aliases with --strategy usage-based.\n--tpm:Tokens. So many the provider takes in a minute; none, not known. For aliases with --strategy usage-based.\n--dry-run:Show what would change; change nothing.\n-o:How to print data.\n--output:How to print data.\n--quiet:Say nothing but data and errors.\n--verbose:Say more on stderr.\n--debug:Show tracebacks.\n--no-color:No colours (NO_COLOR).\n--no-progress:No live progress lines.\n--utc:Times in UTC.\n--context:The server to talk to (SCUTUM_CONTEXT).\n--help:Show this help.\n-h:Show this help.' ;;
    'models delete') printf '%b\n' '-y:Ask nothing.\n--yes:Ask nothing.\n--dry-run:Show what would change; change nothing.\n-o:How to print data.\n--output:How to print data.\n--quiet:Say nothing but data and errors.\n--verbose:Say more on stderr.\n--debug:Show tracebacks.\n--no-color:No colours (NO_COLOR).\n--no-progress:No live progress lines.\n--utc:Times in UTC.\n--context:The server to talk to (SCUTUM_CONTEXT).\n--help:Show this help.\n-h:Show this help.' ;;
    'models catalog') printf '%b\n' '--provider:Only of this vendor.\n--columns:Only these, in this order.\n--sort:By this column; -COLUMN for the other way.\n--filter:Only where it holds; may be repeated.\n--limit:At most so many; 100 unless told.\n--all:Without a limit.\n-o:How to print data.\n--output:How to print data.\n--quiet:Say nothing but data and errors.\n--verbose:Say more on stderr.\n--debug:Show tracebacks.\n--no-color:No colours (NO_COLOR).\n--no-progress:No live progress lines.\n--utc:Times in UTC.\n--context:The server to talk to (SCUTUM_CONTEXT).\n--help:Show this help.\n-h:Show this help.' ;;
    aliases) printf '%b\n' '--columns:Only these, in this order.\n--sort:By this column; -COLUMN for the other way.\n--filter:Only where it holds; may be repeated.\n--limit:At most so many; 100 unless told.\n--all:Without a limit.\n-o:How to print data.\n--output:How to print data.\n--quiet:Say nothing but data and errors.\n--verbose:Say more on stderr.\n--debug:Show tracebacks.\n--no-color:No colours (NO_COLOR).\n--no-progress:No live progress lines.\n--utc:Times in UTC.\n--context:The server to talk to (SCUTUM_CONTEXT).\n--help:Show this help.\n-h:Show this help.' ;;
    'aliases list') printf '%b\n' '--columns:Only these, in this order.\n--sort:By this column; -COLUMN for the other way.\n--filter:Only where it holds; may be repeated.\n--limit:At most so many; 100 unless told.\n--all:Without a limit.\n-o:How to print data.\n--output:How to print data.\n--quiet:Say nothing but data and errors.\n--verbose:Say more on stderr.\n--debug:Show tracebacks.\n--no-color:No colours (NO_COLOR).\n--no-progress:No live progress lines.\n--utc:Times in UTC.\n--context:The server to talk to (SCUTUM_CONTEXT).\n--help:Show this help.\n-h:Show this help.' ;;
    'aliases set') printf '%b\n' '--strategy:Which one is asked first.\n--weights:For weighted, a share for each model.\n--retries:More tries at one that fails in passing; default 1.\n--first-byte-timeout:For each try, to its first byte.\n--timeout:For the request, with all its tries.\n--dry-run:Show what would change; change nothing.\n-o:How to print data.\n--output:How to print data.\n--quiet:Say nothing but data and errors.\n--verbose:Say more on stderr.\n--debug:Show tracebacks.\n--no-color:No colours (NO_COLOR).\n--no-progress:No live progress lines.\n--utc:Times in UTC.\n--context:The server to talk to (SCUTUM_CONTEXT).\n--help:Show this help.\n-h:Show this help.' ;;
    'aliases delete') printf '%b\n' '-y:Ask nothing.\n--yes:Ask nothing.\n--dry-run:Show what would change; change nothing.\n-o:How to print data.\n--output:How to print data.\n--quiet:Say nothing but data and errors.\n--verbose:Say more on stderr.\n--debug:Show tracebacks.\n--no-color:No colours (NO_COLOR).\n--no-progress:No live progress lines.\n--utc:Times in UTC.\n--context:The server to talk to (SCUTUM_CONTEXT).\n--help:Show this help.\n-h:Show this help.' ;;
    teams) printf '%b\n' '-o:How to print data.\n--output:How to print data.\n--quiet:Say nothing but data and errors.\n--verbose:Say more on stderr.\n--debug:Show tracebacks.\n--no-color:No colours (NO_COLOR).\n--no-progress:No live progress lines.\n--utc:Times in UTC.\n--context:The server to talk to (SCUTUM_CONTEXT).\n--help:Show this help.\n-h:Show this help.' ;;
    'teams list') printf '%b\n' '--columns:Only these, in this order.\n--sort:By this column; -COLUMN for the other way.\n--filter:Only where it holds; may be repeated.\n--limit:At most so many; 100 unless told.\n--all:Without a limit.\n-o:How to print data.\n--output:How to print data.\n--quiet:Say nothing but data and errors.\n--verbose:Say more on stderr.\n--debug:Show tracebacks.\n--no-color:No colours (NO_COLOR).\n--no-progress:No live progress lines.\n--utc:Times in UTC.\n--context:The server to talk to (SCUTUM_CONTEXT).\n--help:Show this help.\n-h:Show this help.' ;;
    'teams show') printf '%b\n' '-o:How to print data.\n--output:How to print data.\n--quiet:Say nothing but data and errors.\n--verbose:Say more on stderr.\n--debug:Show tracebacks.\n--no-color:No colours (NO_COLOR).\n--no-progress:No live progress lines.\n--utc:Times in UTC.\n--context:The server to talk to (SCUTUM_CONTEXT).\n--help:Show this help.\n-h:Show this help.' ;;
    'teams create') printf '%b\n' '--org:Id or name of its org.\n--dry-run:Show what would change; change nothing.\n-o:How to print data.\n--output:How to print data.\n--quiet:Say nothing but data and errors.\n--verbose:Say more on stderr.\n--debug:Show tracebacks.\n--no-color:No colours (NO_COLOR).\n--no-progress:No live progress lines.\n--utc:Times in UTC.\n--context:The server to talk to (SCUTUM_CONTEXT).\n--help:Show this help.\n-h:Show this help.' ;;
    'teams delete') printf '%b\n' '-y:Ask nothing.\n--yes:Ask nothing.\n--dry-run:Show what would change; change nothing.\n-o:How to print data.\n--output:How to print data.\n--quiet:Say nothing but data and errors.\n--verbose:Say more on stderr.\n--debug:Show tracebacks.\n--no-color:No colours (NO_COLOR).\n--no-progress:No live progress lines.\n--utc:Times in UTC.\n--context:The server to talk to (SCUTUM_CONTEXT).\n--help:Show this help.\n-h:Show this help.' ;;
    keys) printf '%b\n' '-o:How to print data.\n--output:How to print data.\n--quiet:Say nothing but data and errors.\n--verbose:Say more on stderr.\n--debug:Show tracebacks.\n--no-color:No colours (NO_COLOR).\n--no-progress:No live progress lines.\n--utc:Times in UTC.\n--context:The server to talk to (SCUTUM_CONTEXT).\n--help:Show this help.\n-h:Show this help.' ;;
    'keys list') printf '%b\n' '--team:Only the keys of this team.\n--columns:Only these, in this order.\n--sort:By this column; -COLUMN for the other way.\n--filter:Only where it holds; may be repeated.\n--limit:At most so many; 100 unless told.\n--all:Without a limit.\n-o:How to print data.\n--output:How to print data.\n--quiet:Say nothing but data and errors.\n--verbose:Say more on stderr.\n--debug:Show tracebacks.\n--no-color:No colours (NO_COLOR).\n--no-progress:No live progress lines.\n--utc:Times in UTC.\n--context:The server to talk to (SCUTUM_CONTEXT).\n--help:Show this help.\n-h:Show this help.' ;;
    'keys show') printf '%b\n' '-o:How to print data.\n--output:How to print data.\n--quiet:Say nothing but data and errors.\n--verbose:Say more on stderr.\n--debug:Show tracebacks.\n--no-color:No colours (NO_COLOR).\n--no-progress:No live progress lines.\n--utc:Times in UTC.\n--context:The server to talk to (SCUTUM_CONTEXT).\n--help:Show this help.\n-h:Show this help.' ;;
    'keys create') printf '%b\n' '--team:The team that pays.\n--expires:How long it lives.\n--models:Only these models.\n--routes:Only these paths, such as /v1/models.\n--ips:Only from these addresses or networks.\n--owner:Who answers for it.\n--metadata:A note; may be repeated.\n--use:Keep it in the context, for scutum chat.\n--dry-run:Show what would change; change nothing.\n-o:How to print data.\n--output:How to print data.\n--quiet:Say nothing but data and errors.\n--verbose:Say more on stderr.\n--debug:Show tracebacks.\n--no-color:No colours (NO_COLOR).\n--no-progress:No live progress lines.\n--utc:Times in UTC.\n--context:The server to talk to (SCUTUM_CONTEXT).\n--help:Show this help.\n-h:Show this help.' ;;
    'keys revoke') printf '%b\n' '-y:Ask nothing.\n--yes:Ask nothing.\n--dry-run:Show what would change; change nothing.\n-o:How to print data.\n--output:How to print data.\n--quiet:Say nothing but data and errors.\n--verbose:Say more on stderr.\n--debug:Show tracebacks.\n--no-color:No colours (NO_COLOR).\n--no-progress:No live progress lines.\n--utc:Times in UTC.\n--context:The server to talk to (SCUTUM_CONTEXT).\n--help:Show this help.\n-h:Show this help.' ;;
    'keys rotate') printf '%b\n' '--overlap:How long the former secret still opens.\n--use:Keep it in the context, for scutum chat.\n-y:Ask nothing.\n--yes:Ask nothing.\n--dry-run:Show what would change; change nothing.\n-o:How to print data.\n--output:How to print data.\n--quiet:Say nothing but data and errors.\n--verbose:Say more on stderr.\n--debug:Show tracebacks.\n--no-color:No colours (NO_COLOR).\n--no-progress:No live progress lines.\n--utc:Times in UTC.\n--context:The server to talk to (SCUTUM_CONTEXT).\n--help:Show this help.\n-h:Show this help.' ;;
    limits) printf '%b\n' '-o:How to print data.\n--output:How to print data.\n--quiet:Say nothing but data and errors.\n--verbose:Say more on stderr.\n--debug:Show tracebacks.\n--no-color:No colours (NO_COLOR).\n--no-progress:No live progress lines.\n--utc:Times in UTC.\n--context:The server to talk to (SCUTUM_CONTEXT).\n--help:Show this help.\n-h:Show this help.' ;;
    'limits list') printf '%b\n' '--columns:Only these, in this order.\n--sort:By this column; -COLUMN for the other way.\n--filter:Only where it holds; may be repeated.\n--limit:At most so many; 100 unless told.\n--all:Without a limit.\n-o:How to print data.\n--output:How to print data.\n--quiet:Say nothing but data and errors.\n--verbose:Say more on stderr.\n--debug:Show tracebacks.\n--no-color:No colours (NO_COLOR).\n--no-progress:No live progress lines.\n--utc:Times in UTC.\n--context:The server to talk to (SCUTUM_CONTEXT).\n--help:Show this help.\n-h:Show this help.' ;;
    'limits show') printf '%b\n' '-o:How to print data.\n--output:How to print data.\n--quiet:Say nothing but data and errors.\n--verbose:Say more on stderr.\n--debug:Show tracebacks.\n--no-color:No colours (NO_COLOR).\n--no-progress:No live progress lines.\n--utc:Times in UTC.\n--context:The server to talk to (SCUTUM_CONTEXT).\n--help:Show this help.\n-h:Show this help.' ;;
    'limits create') printf '%b\n' '--team:For this team; with --model, both.\n--key:For this key.\n--user:For all keys of this owner.\n--model:For this model.\n--global:For all requests together.\n--rpm:Requests a minute.\n--tpm:Tokens a minute.\n--rpd:Requests a day.\n--tpd:Tokens a day.\n--concurrency:Requests at once.\n--burst:Requests in a second.\n--on-failure:While Redis is away, let pass, or refuse.\n--dry-run:Show what would change; change nothing.\n-o:How to print data.\n--output:How to print data.\n--quiet:Say nothing but data and errors.\n--verbose:Say more on stderr.\n--debug:Show tracebacks.\n--no-color:No colours (NO_COLOR).\n--no-progress:No live progress lines.\n--utc:Times in UTC.\n--context:The server to talk to (SCUTUM_CONTEXT).\n--help:Show this help.\n-h:Show this help.' ;;
    'limits update') printf '%b\n' '--rpm:Requests a minute.\n--tpm:Tokens a minute.\n--rpd:Requests a day.\n--tpd:Tokens a day.\n--concurrency:Requests at once.\n--burst:Requests in a second.\n--on-failure:While Redis is away, let pass, or refuse.\n--dry-run:Show what would change; change nothing.\n-o:How to print data.\n--output:How to print data.\n--quiet:Say nothing but data and errors.\n--verbose:Say more on stderr.\n--debug:Show tracebacks.\n--no-color:No colours (NO_COLOR).\n--no-progress:No live progress lines.\n--utc:Times in UTC.\n--context:The server to talk to (SCUTUM_CONTEXT).\n--help:Show this help.\n-h:Show this help.' ;;
    'limits delete') printf '%b\n' '-y:Ask nothing.\n--yes:Ask nothing.\n--dry-run:Show what would change; change nothing.\n-o:How to print data.\n--output:How to print data.\n--quiet:Say nothing but data and errors.\n--verbose:Say more on stderr.\n--debug:Show tracebacks.\n--no-color:No colours (NO_COLOR).\n--no-progress:No live progress lines.\n--utc:Times in UTC.\n--context:The server to talk to (SCUTUM_CONTEXT).\n--help:Show this help.\n-h:Show this help.' ;;
    budgets) printf '%b\n' '-o:How to print data.\n--output:How to print data.\n--quiet:Say nothing but data and errors.\n--verbose:Say more on stderr.\n--debug:Show tracebacks.\n--no-color:No colours (NO_COLOR).\n--no-progress:No live progress lines.\n--utc:Times in UTC.\n--context:The server to talk to (SCUTUM_CONTEXT).\n--help:Show this help.\n-h:Show this help.' ;;
    'budgets list') printf '%b\n' '--columns:Only these, in this order.\n--sort:By this column; -COLUMN for the other way.\n--filter:Only where it holds; may be repeated.\n--limit:At most so many; 100 unless told.\n--all:Without a limit.\n-o:How to print data.\n--output:How to print data.\n--quiet:Say nothing but data and errors.\n--verbose:Say more on stderr.\n--debug:Show tracebacks.\n--no-color:No colours (NO_COLOR).\n--no-progress:No live progress lines.\n--utc:Times in UTC.\n--context:The server to talk to (SCUTUM_CONTEXT).\n--help:Show this help.\n-h:Show this help.' ;;
    'budgets show') printf '%b\n' '-o:How to print data.\n--output:How to print data.\n--quiet:Say nothing but data and errors.\n--verbose:Say more on stderr.\n--debug:Show tracebacks.\n--no-color:No colours (NO_COLOR).\n--no-progress:No live progress lines.\n--utc:Times in UTC.\n--context:The server to talk to (SCUTUM_CONTEXT).\n--help:Show this help.\n-h:Show this help.' ;;
    'budgets create') printf '%b\n' '--org:For this org.\n--unit:For this unit.\n--team:For this team.\n--key:For this key.\n--user:For all keys of this owner.\n--global:For all requests together.\n--day:US dollars a day.\n--week:US dollars a week.\n--month:US dollars a month.\n--soft:From here on the state is soft.\n--output-tokens:What requests without a maximum may generate; default 4096.\n--on-failure:While Redis is away, let pass, or refuse.\n--dry-run:Show what would change; change nothing.\n-o:How to print data.\n--output:How to print data.\n--quiet:Say nothing but data and errors.\n--verbose:Say more on stderr.\n--debug:Show tracebacks.\n--no-color:No colours (NO_COLOR).\n--no-progress:No live progress lines.\n--utc:Times in UTC.\n--context:The server to talk to (SCUTUM_CONTEXT).\n--help:Show this help.\n-h:Show this help.' ;;
    'budgets update') printf '%b\n' '--amount:US dollars for each period.\n--soft:From here on the state is soft.\n--output-tokens:What requests without a maximum may generate; default 4096.\n--on-failure:While Redis is away, let pass, or refuse.\n--dry-run:Show what would change; change nothing.\n-o:How to print data.\n--output:How to print data.\n--quiet:Say nothing but data and errors.\n--verbose:Say more on stderr.\n--debug:Show tracebacks.\n--no-color:No colours (NO_COLOR).\n--no-progress:No live progress lines.\n--utc:Times in UTC.\n--context:The server to talk to (SCUTUM_CONTEXT).\n--help:Show this help.\n-h:Show this help.' ;;
    'budgets delete') printf '%b\n' '-y:Ask nothing.\n--yes:Ask nothing.\n--dry-run:Show what would change; change nothing.\n-o:How to print data.\n--output:How to print data.\n--quiet:Say nothing but data and errors.\n--verbose:Say more on stderr.\n--debug:Show tracebacks.\n--no-color:No colours (NO_COLOR).\n--no-progress:No live progress lines.\n--utc:Times in UTC.\n--context:The server to talk to (SCUTUM_CONTEXT).\n--help:Show this help.\n-h:Show this help.' ;;
    settings) printf '%b\n' '-o:How to print data.\n--output:How to print data.\n--quiet:Say nothing but data and errors.\n--verbose:Say more on stderr.\n--debug:Show tracebacks.\n--no-color:No colours (NO_COLOR).\n--no-progress:No live progress lines.\n--utc:Times in UTC.\n--context:The server to talk to (SCUTUM_CONTEXT).\n--help:Show this help.\n-h:Show this help.' ;;
    'settings list') printf '%b\n' '--columns:Only these, in this order.\n--sort:By this column; -COLUMN for the other way.\n--filter:Only where it holds; may be repeated.\n--limit:At most so many; 100 unless told.\n--all:Without a limit.\n-o:How to print data.\n--output:How to print data.\n--quiet:Say nothing but data and errors.\n--verbose:Say more on stderr.\n--debug:Show tracebacks.\n--no-color:No colours (NO_COLOR).\n--no-progress:No live progress lines.\n--utc:Times in UTC.\n--context:The server to talk to (SCUTUM_CONTEXT).\n--help:Show this help.\n-h:Show this help.' ;;
    'settings get') printf '%b\n' '-o:How to print data.\n--output:How to print data.\n--quiet:Say nothing but data and errors.\n--verbose:Say more on stderr.\n--debug:Show tracebacks.\n--no-color:No colours (NO_COLOR).\n--no-progress:No live progress lines.\n--utc:Times in UTC.\n--context:The server to talk to (SCUTUM_CONTEXT).\n--help:Show this help.\n-h:Show this help.' ;;
    'settings set') printf '%b\n' '--dry-run:Show what would change; change nothing.\n-o:How to print data.\n--output:How to print data.\n--quiet:Say nothing but data and errors.\n--verbose:Say more on stderr.\n--debug:Show tracebacks.\n--no-color:No colours (NO_COLOR).\n--no-progress:No live progress lines.\n--utc:Times in UTC.\n--context:The server to talk to (SCUTUM_CONTEXT).\n--help:Show this help.\n-h:Show this help.' ;;
    license) printf '%b\n' '-o:How to print data.\n--output:How to print data.\n--quiet:Say nothing but data and errors.\n--verbose:Say more on stderr.\n--debug:Show tracebacks.\n--no-color:No colours (NO_COLOR).\n--no-progress:No live progress lines.\n--utc:Times in UTC.\n--context:The server to talk to (SCUTUM_CONTEXT).\n--help:Show this help.\n-h:Show this help.' ;;
    'license status') printf '%b\n' '-o:How to print data.\n--output:How to print data.\n--quiet:Say nothing but data and errors.\n--verbose:Say more on stderr.\n--debug:Show tracebacks.\n--no-color:No colours (NO_COLOR).\n--no-progress:No live progress lines.\n--utc:Times in UTC.\n--context:The server to talk to (SCUTUM_CONTEXT).\n--help:Show this help.\n-h:Show this help.' ;;
    'license activate') printf '%b\n' '--dry-run:Show what would change; change nothing.\n-o:How to print data.\n--output:How to print data.\n--quiet:Say nothing but data and errors.\n--verbose:Say more on stderr.\n--debug:Show tracebacks.\n--no-color:No colours (NO_COLOR).\n--no-progress:No live progress lines.\n--utc:Times in UTC.\n--context:The server to talk to (SCUTUM_CONTEXT).\n--help:Show this help.\n-h:Show this help.' ;;
    'license history') printf '%b\n' '--columns:Only these, in this order.\n--sort:By this column; -COLUMN for the other way.\n--filter:Only where it holds; may be repeated.\n--limit:At most so many; 100 unless told.\n--all:Without a limit.\n-o:How to print data.\n--output:How to print data.\n--quiet:Say nothing but data and errors.\n--verbose:Say more on stderr.\n--debug:Show tracebacks.\n--no-color:No colours (NO_COLOR).\n--no-progress:No live progress lines.\n--utc:Times in UTC.\n--context:The server to talk to (SCUTUM_CONTEXT).\n--help:Show this help.\n-h:Show this help.' ;;
    'license issue') printf '%b\n' '--tier:Its tier.\n--email:Whom to write to about it.\n--company:For whom it is.\n--days:From now on; a trial lasts 30.\n--customer:Your id of the customer; else from --company.\n--feature:Other than the tier has it; may be repeated.\n--out:Write it there, for you alone.\n--authority:Where its key is; beside the contexts unless told.\n-o:How to print data.\n--output:How to print data.\n--quiet:Say nothing but data and errors.\n--verbose:Say more on stderr.\n--debug:Show tracebacks.\n--no-color:No colours (NO_COLOR).\n--no-progress:No live progress lines.\n--utc:Times in UTC.\n--context:The server to talk to (SCUTUM_CONTEXT).\n--help:Show this help.\n-h:Show this help.' ;;
    'license authority') printf '%b\n' '-o:How to print data.\n--output:How to print data.\n--quiet:Say nothing but data and errors.\n--verbose:Say more on stderr.\n--debug:Show tracebacks.\n--no-color:No colours (NO_COLOR).\n--no-progress:No live progress lines.\n--utc:Times in UTC.\n--context:The server to talk to (SCUTUM_CONTEXT).\n--help:Show this help.\n-h:Show this help.' ;;
    'license authority create') printf '%b\n' '--name:Who issues, for people to read.\n--trust:Have the install on this host believe it.\n--authority:Where its key is; beside the contexts unless told.\n--home:The deploy root.\n--dry-run:Show what would change; change nothing.\n-o:How to print data.\n--output:How to print data.\n--quiet:Say nothing but data and errors.\n--verbose:Say more on stderr.\n--debug:Show tracebacks.\n--no-color:No colours (NO_COLOR).\n--no-progress:No live progress lines.\n--utc:Times in UTC.\n--context:The server to talk to (SCUTUM_CONTEXT).\n--help:Show this help.\n-h:Show this help.' ;;
    'license authority show') printf '%b\n' '--authority:Where its key is; beside the contexts unless told.\n-o:How to print data.\n--output:How to print data.\n--quiet:Say nothing but data and errors.\n--verbose:Say more on stderr.\n--debug:Show tracebacks.\n--no-color:No colours (NO_COLOR).\n--no-progress:No live progress lines.\n--utc:Times in UTC.\n--context:The server to talk to (SCUTUM_CONTEXT).\n--help:Show this help.\n-h:Show this help.' ;;
    maintenance) printf '%b\n' '-o:How to print data.\n--output:How to print data.\n--quiet:Say nothing but data and errors.\n--verbose:Say more on stderr.\n--debug:Show tracebacks.\n--no-color:No colours (NO_COLOR).\n--no-progress:No live progress lines.\n--utc:Times in UTC.\n--context:The server to talk to (SCUTUM_CONTEXT).\n--help:Show this help.\n-h:Show this help.' ;;
    'maintenance on') printf '%b\n' '--retry-after:When clients may try again (60s).\n--dry-run:Show what would change; change nothing.\n-o:How to print data.\n--output:How to print data.\n--quiet:Say nothing but data and errors.\n--verbose:Say more on stderr.\n--debug:Show tracebacks.\n--no-color:No colours (NO_COLOR).\n--no-progress:No live progress lines.\n--utc:Times in UTC.\n--context:The server to talk to (SCUTUM_CONTEXT).\n--help:Show this help.\n-h:Show this help.' ;;
    'maintenance off') printf '%b\n' '--dry-run:Show what would change; change nothing.\n-o:How to print data.\n--output:How to print data.\n--quiet:Say nothing but data and errors.\n--verbose:Say more on stderr.\n--debug:Show tracebacks.\n--no-color:No colours (NO_COLOR).\n--no-progress:No live progress lines.\n--utc:Times in UTC.\n--context:The server to talk to (SCUTUM_CONTEXT).\n--help:Show this help.\n-h:Show this help.' ;;
    'maintenance status') printf '%b\n' '-o:How to print data.\n--output:How to print data.\n--quiet:Say nothing but data and errors.\n--verbose:Say more on stderr.\n--debug:Show tracebacks.\n--no-color:No colours (NO_COLOR).\n--no-progress:No live progress lines.\n--utc:Times in UTC.\n--context:The server to talk to (SCUTUM_CONTEXT).\n--help:Show this help.\n-h:Show this help.' ;;
    login) printf '%b\n' '--api-key-stdin:Read the master key from standard input, without a prompt.\n-o:How to print data.\n--output:How to print data.\n--quiet:Say nothing but data and errors.\n--verbose:Say more on stderr.\n--debug:Show tracebacks.\n--no-color:No colours (NO_COLOR).\n--no-progress:No live progress lines.\n--utc:Times in UTC.\n--context:The server to talk to (SCUTUM_CONTEXT).\n--help:Show this help.\n-h:Show this help.' ;;
    logout) printf '%b\n' '-o:How to print data.\n--output:How to print data.\n--quiet:Say nothing but data and errors.\n--verbose:Say more on stderr.\n--debug:Show tracebacks.\n--no-color:No colours (NO_COLOR).\n--no-progress:No live progress lines.\n--utc:Times in UTC.\n--context:The server to talk to (SCUTUM_CONTEXT).\n--help:Show this help.\n-h:Show this help.' ;;
    context) printf '%b\n' '-o:How to print data.\n--output:How to print data.\n--quiet:Say nothing but data and errors.\n--verbose:Say more on stderr.\n--debug:Show tracebacks.\n--no-color:No colours (NO_COLOR).\n--no-progress:No live progress lines.\n--utc:Times in UTC.\n--context:The server to talk to (SCUTUM_CONTEXT).\n--help:Show this help.\n-h:Show this help.' ;;
    'context list') printf '%b\n' '--columns:Only these, in this order.\n--sort:By this column; -COLUMN for the other way.\n--filter:Only where it holds; may be repeated.\n--limit:At most so many; 100 unless told.\n--all:Without a limit.\n-o:How to print data.\n--output:How to print data.\n--quiet:Say nothing but data and errors.\n--verbose:Say more on stderr.\n--debug:Show tracebacks.\n--no-color:No colours (NO_COLOR).\n--no-progress:No live progress lines.\n--utc:Times in UTC.\n--context:The server to talk to (SCUTUM_CONTEXT).\n--help:Show this help.\n-h:Show this help.' ;;
    'context use') printf '%b\n' '--dry-run:Show what would change; change nothing.\n-o:How to print data.\n--output:How to print data.\n--quiet:Say nothing but data and errors.\n--verbose:Say more on stderr.\n--debug:Show tracebacks.\n--no-color:No colours (NO_COLOR).\n--no-progress:No live progress lines.\n--utc:Times in UTC.\n--context:The server to talk to (SCUTUM_CONTEXT).\n--help:Show this help.\n-h:Show this help.' ;;
    'context add') printf '%b\n' '--admin-url:Its admin API, port 8086.\n--proxy-url:Its proxy; default, the same host, port 4000.\n--key-stdin:Read a client key for chat from stdin.\n--dry-run:Show what would change; change nothing.\n-o:How to print data.\n--output:How to print data.\n--quiet:Say nothing but data and errors.\n--verbose:Say more on stderr.\n--debug:Show tracebacks.\n--no-color:No colours (NO_COLOR).\n--no-progress:No live progress lines.\n--utc:Times in UTC.\n--context:The server to talk to (SCUTUM_CONTEXT).\n--help:Show this help.\n-h:Show this help.' ;;
    'context delete') printf '%b\n' '-y:Ask nothing.\n--yes:Ask nothing.\n--dry-run:Show what would change; change nothing.\n-o:How to print data.\n--output:How to print data.\n--quiet:Say nothing but data and errors.\n--verbose:Say more on stderr.\n--debug:Show tracebacks.\n--no-color:No colours (NO_COLOR).\n--no-progress:No live progress lines.\n--utc:Times in UTC.\n--context:The server to talk to (SCUTUM_CONTEXT).\n--help:Show this help.\n-h:Show this help.' ;;
  esac
}
_scutum_value() {
  case "${1:+$1 }$2" in
    -o|--output) echo 'table json yaml csv' ;;
    --context) echo @contexts ;;
    'install --from') echo @files ;;
    'install --sha256') echo @none ;;
    'install --proxy-port') echo @none ;;
    'install --admin-port') echo @none ;;
    'install --proxy-workers') echo @none ;;
    'install --database-url') echo @none ;;
    'install --redis-url') echo @none ;;
    'install --with') echo @none ;;
    'install --run-as') echo @none ;;
    'install --home') echo @files ;;
    'install -o'|'install --output') echo 'table json yaml csv' ;;
    'uninstall --home') echo @files ;;
    'uninstall -o'|'uninstall --output') echo 'table json yaml csv' ;;
    'up --home') echo @files ;;
    'up -o'|'up --output') echo 'table json yaml csv' ;;
    'down --home') echo @files ;;
    'down -o'|'down --output') echo 'table json yaml csv' ;;
    'restart --home') echo @files ;;
    'restart -o'|'restart --output') echo 'table json yaml csv' ;;
    'ps --home') echo @files ;;
    'ps -o'|'ps --output') echo 'table json yaml csv' ;;
    'logs --since') echo @none ;;
    'logs -n'|'logs --lines') echo @none ;;
    'logs --home') echo @files ;;
    'logs -o'|'logs --output') echo 'table json yaml csv' ;;
    'status --home') echo @files ;;
    'status -o'|'status --output') echo 'table json yaml csv' ;;
    'config -o'|'config --output') echo 'table json yaml csv' ;;
    'config path --home') echo @files ;;
    'config path -o'|'config path --output') echo 'table json yaml csv' ;;
    'config show --home') echo @files ;;
    'config show -o'|'config show --output') echo 'table json yaml csv' ;;
    'version --home') echo @files ;;
    'version -o'|'version --output') echo 'table json yaml csv' ;;
    'completions -o'|'completions --output') echo 'table json yaml csv' ;;
    'chat --model') echo @callable ;;
    'chat --system') echo @none ;;
    'chat --key') echo @none ;;
    'chat -o'|'chat --output') echo 'table json yaml csv' ;;
    'chat --context') echo @contexts ;;
    'usage --by') echo 'model team key provider' ;;
    'usage --since') echo @none ;;
    'usage --until') echo @none ;;
    'usage --zone') echo @none ;;
    'usage --org') echo @none ;;
    'usage --unit') echo @none ;;
    'usage --team') echo @teams ;;
    'usage --key') echo @keys ;;
    'usage --user') echo @none ;;
    'usage --model') echo @models ;;
    'usage --provider') echo @none ;;
    'usage --route') echo @none ;;
    'usage --export') echo @files ;;
    'usage --columns') echo @none ;;
    'usage --sort') echo @none ;;
    'usage --filter') echo @none ;;
    'usage --limit') echo @none ;;
    'usage -o'|'usage --output') echo 'table json yaml csv' ;;
    'usage --context') echo @contexts ;;
    'providers -o'|'providers --output') echo 'table json yaml csv' ;;
    'providers --context') echo @contexts ;;
    'providers list --columns') echo @none ;;
    'providers list --sort') echo @none ;;
    'providers list --filter') echo @none ;;
    'providers list --limit') echo @none ;;
    'providers list -o'|'providers list --output') echo 'table json yaml csv' ;;
    'providers list --context') echo @contexts ;;
    'providers show -o'|'providers show --output') echo 'table json yaml csv' ;;
    'providers show --context') echo @contexts ;;
    'providers add --kind') echo 'openai anthropic azure gemini vertex bedrock xai deepseek mistral groq together ollama vllm litellm sim' ;;
    'providers add --base-url') echo @none ;;
    'providers add --region') echo @none ;;
    'providers add --project') echo @none ;;
    'providers add --vendor') echo @none ;;
    'providers add --timeout') echo @none ;;
    'providers add --ca-bundle') echo @files ;;
    'providers add --proxy') echo @none ;;
    'providers add --responses') echo 'native translate' ;;
    'providers add --max-tokens') echo @none ;;
    'providers add --structured-output') echo 'native tool' ;;
    'providers add --api-version') echo @none ;;
    'providers add -o'|'providers add --output') echo 'table json yaml csv' ;;
    'providers add --context') echo @contexts ;;
    'providers update --name') echo @none ;;
    'providers update --base-url') echo @none ;;
    'providers update --region') echo @none ;;
    'providers update --project') echo @none ;;
    'providers update --timeout') echo @none ;;
    'providers update --ca-bundle') echo @files ;;
    'providers update --proxy') echo @none ;;
    'providers update --responses') echo 'native translate' ;;
    'providers update --max-tokens') echo @none ;;
    'providers update --structured-output') echo 'native tool' ;;
    'providers update --api-version') echo @none ;;
    'providers update -o'|'providers update --output') echo 'table json yaml csv' ;;
    'providers update --context') echo @contexts ;;
    'providers delete -o'|'providers delete --output') echo 'table json yaml csv' ;;
    'providers delete --context') echo @contexts ;;
    'providers presets --columns') echo @none ;;
    'providers presets --sort') echo @none ;;
    'providers presets --filter') echo @none ;;
    'providers presets --limit') echo @none ;;
    'providers presets -o'|'providers presets --output') echo 'table json yaml csv' ;;
    'providers presets --context') echo @contexts ;;
    'providers test -o'|'providers test --output') echo 'table json yaml csv' ;;
    'providers test --context') echo @contexts ;;
    'providers sim --latency') echo @none ;;
    'providers sim --ttft') echo @none ;;
    'providers sim --chunk') echo @none ;;
    'providers sim --error-rate') echo @none ;;
    'providers sim --error-kind') echo 'rate_limit server_error overloaded timeout truncated garbage refused' ;;
    'providers sim --shape') echo 'normal tools changed' ;;
    'providers sim --tokens') echo @none ;;
    'providers sim --seed') echo @none ;;
    'providers sim -o'|'providers sim --output') echo 'table json yaml csv' ;;
    'providers sim --context') echo @contexts ;;
    'providers keys -o'|'providers keys --output') echo 'table json yaml csv' ;;
    'providers keys --context') echo @contexts ;;
    'providers keys list --columns') echo @none ;;
    'providers keys list --sort') echo @none ;;
    'providers keys list --filter') echo @none ;;
    'providers keys list --limit') echo @none ;;
    'providers keys list -o'|'providers keys list --output') echo 'table json yaml csv' ;;
    'providers keys list --context') echo @contexts ;;
    'providers keys add -o'|'providers keys add --output') echo 'table json yaml csv' ;;
    'providers keys add --context') echo @contexts ;;
    'providers keys remove -o'|'providers keys remove --output') echo 'table json yaml csv' ;;
    'providers keys remove --context') echo @contexts ;;
    'models -o'|'models --output') echo 'table json yaml csv' ;;
    'models --context') echo @contexts ;;
    'models list --provider') echo @providers ;;
    'models list --columns') echo @none ;;
    'models list --sort') echo @none ;;
    'models list --filter') echo @none ;;
    'models list --limit') echo @none ;;
    'models list -o'|'models list --output') echo 'table json yaml csv' ;;
    'models list --context') echo @contexts ;;
    'models show -o'|'models show --output') echo 'table json yaml csv' ;;
    'models show --context') echo @contexts ;;
    'models add --provider') echo @providers ;;
    'models add --upstream-model') echo @callable ;;
    'models add --kind') echo 'chat embedding' ;;
    'models add --price') echo @none ;;
    'models add --rpm') echo @none ;;
    'models add --tpm') echo @none ;;
    'models add -o'|'models add --output') echo 'table json yaml csv' ;;
    'models add --context') echo @contexts ;;
    'models update --name') echo @none ;;
    'models update --upstream-model') echo @callable ;;
    'models update --kind') echo 'chat embedding' ;;
    'models update --price') echo @none ;;
    'models update --rpm') echo @none ;;
    'models update --tpm') echo @none ;;
    'models update -o'|'models update --output') echo 'table json yaml csv' ;;
    'models update --context') echo @contexts ;;
    'models delete -o'|'models delete --output') echo 'table json yaml csv' ;;
    'models delete --context') echo @contexts ;;
    'models catalog --provider') echo @none ;;
    'models catalog --columns') echo @none ;;
    'models catalog --sort') echo @none ;;
    'models catalog --filter') echo @none ;;
    'models catalog --limit') echo @none ;;
    'models catalog -o'|'models catalog --output') echo 'table json yaml csv' ;;
    'models catalog --context') echo @contexts ;;
    'aliases --columns') echo @none ;;
    'aliases --sort') echo @none ;;
    'aliases --filter') echo @none ;;
    'aliases --limit') echo @none ;;
    'aliases -o'|'aliases --output') echo 'table json yaml csv' ;;
    'aliases --context') echo @contexts ;;
    'aliases list --columns') echo @none ;;
    'aliases list --sort') echo @none ;;
    'aliases list --filter') echo @none ;;
    'aliases list --limit') echo @none ;;
    'aliases list -o'|'aliases list --output') echo 'table json yaml csv' ;;
    'aliases list --context') echo @contexts ;;
    'aliases set --strategy') echo 'ordered weighted least-busy lowest-latency cheapest usage-based' ;;
    'aliases set --weights') echo @none ;;
    'aliases set --retries') echo @none ;;
    'aliases set --first-byte-timeout') echo @none ;;
    'aliases set --timeout') echo @none ;;
    'aliases set -o'|'aliases set --output') echo 'table json yaml csv' ;;
    'aliases set --context') echo @contexts ;;
    'aliases delete -o'|'aliases delete --output') echo 'table json yaml csv' ;;
    'aliases delete --context') echo @contexts ;;
    'teams -o'|'teams --output') echo 'table json yaml csv' ;;
    'teams --context') echo @contexts ;;
    'teams list --columns') echo @none ;;
    'teams list --sort') echo @none ;;
    'teams list --filter') echo @none ;;
    'teams list --limit') echo @none ;;
    'teams list -o'|'teams list --output') echo 'table json yaml csv' ;;
    'teams list --context') echo @contexts ;;
    'teams show -o'|'teams show --output') echo 'table json yaml csv' ;;
    'teams show --context') echo @contexts ;;
    'teams create --org') echo @none ;;
    'teams create -o'|'teams create --output') echo 'table json yaml csv' ;;
    'teams create --context') echo @contexts ;;
    'teams delete -o'|'teams delete --output') echo 'table json yaml csv' ;;
    'teams delete --context') echo @contexts ;;
    'keys -o'|'keys --output') echo 'table json yaml csv' ;;
    'keys --context') echo @contexts ;;
    'keys list --team') echo @teams ;;
    'keys list --columns') echo @none ;;
    'keys list --sort') echo @none ;;
    'keys list --filter') echo @none ;;
    'keys list --limit') echo @none ;;
    'keys list -o'|'keys list --output') echo 'table json yaml csv' ;;
    'keys list --context') echo @contexts ;;
    'keys show -o'|'keys show --output') echo 'table json yaml csv' ;;
    'keys show --context') echo @contexts ;;
    'keys create --team') echo @teams ;;
    'keys create --expires') echo @none ;;
    'keys create --models') echo @none ;;
    'keys create --routes') echo @none ;;
    'keys create --ips') echo @none ;;
    'keys create --owner') echo @none ;;
    'keys create --metadata') echo @none ;;
    'keys create -o'|'keys create --output') echo 'table json yaml csv' ;;
    'keys create --context') echo @contexts ;;
    'keys revoke -o'|'keys revoke --output') echo 'table json yaml csv' ;;
    'keys revoke --context') echo @contexts ;;
    'keys rotate --overlap') echo @none ;;
    'keys rotate -o'|'keys rotate --output') echo 'table json yaml csv' ;;
    'keys rotate --context') echo @contexts ;;
    'limits -o'|'limits --output') echo 'table json yaml csv' ;;
    'limits --context') echo @contexts ;;
    'limits list --columns') echo @none ;;
    'limits list --sort') echo @none ;;
    'limits list --filter') echo @none ;;
    'limits list --limit') echo @none ;;
    'limits list -o'|'limits list --output') echo 'table json yaml csv' ;;
    'limits list --context') echo @contexts ;;
    'limits show -o'|'limits show --output') echo 'table json yaml csv' ;;
    'limits show --context') echo @contexts ;;
    'limits create --team') echo @teams ;;
    'limits create --key') echo @keys ;;
    'limits create --user') echo @none ;;
    'limits create --model') echo @models ;;
    'limits create --rpm') echo @none ;;
    'limits create --tpm') echo @none ;;
    'limits create --rpd') echo @none ;;
    'limits create --tpd') echo @none ;;
    'limits create --concurrency') echo @none ;;
    'limits create --burst') echo @none ;;
    'limits create --on-failure') echo 'open closed' ;;
    'limits create -o'|'limits create --output') echo 'table json yaml csv' ;;
    'limits create --context') echo @contexts ;;
    'limits update --rpm') echo @none ;;
    'limits update --tpm') echo @none ;;
    'limits update --rpd') echo @none ;;
    'limits update --tpd') echo @none ;;
    'limits update --concurrency') echo @none ;;
    'limits update --burst') echo @none ;;
    'limits update --on-failure') echo 'open closed' ;;
    'limits update -o'|'limits update --output') echo 'table json yaml csv' ;;
    'limits update --context') echo @contexts ;;
    'limits delete -o'|'limits delete --output') echo 'table json yaml csv' ;;
    'limits delete --context') echo @contexts ;;
    'budgets -o'|'budgets --output') echo 'table json yaml csv' ;;
    'budgets --context') echo @contexts ;;
    'budgets list --columns') echo @none ;;
    'budgets list --sort') echo @none ;;
    'budgets list --filter') echo @none ;;
    'budgets list --limit') echo @none ;;
    'budgets list -o'|'budgets list --output') echo 'table json yaml csv' ;;
    'budgets list --context') echo @contexts ;;
    'budgets show -o'|'budgets show --output') echo 'table json yaml csv' ;;
    'budgets show --context') echo @contexts ;;
    'budgets create --org') echo @none ;;
    'budgets create --unit') echo @none ;;
    'budgets create --team') echo @teams ;;
    'budgets create --key') echo @keys ;;
    'budgets create --user') echo @none ;;
    'budgets create --day') echo @none ;;
    'budgets create --week') echo @none ;;
    'budgets create --month') echo @none ;;
    'budgets create --soft') echo @none ;;
    'budgets create --output-tokens') echo @none ;;
    'budgets create --on-failure') echo 'open closed' ;;
    'budgets create -o'|'budgets create --output') echo 'table json yaml csv' ;;
    'budgets create --context') echo @contexts ;;
    'budgets update --amount') echo @none ;;
    'budgets update --soft') echo @none ;;
    'budgets update --output-tokens') echo @none ;;
    'budgets update --on-failure') echo 'open closed' ;;
    'budgets update -o'|'budgets update --output') echo 'table json yaml csv' ;;
    'budgets update --context') echo @contexts ;;
    'budgets delete -o'|'budgets delete --output') echo 'table json yaml csv' ;;
    'budgets delete --context') echo @contexts ;;
    'settings -o'|'settings --output') echo 'table json yaml csv' ;;
    'settings --context') echo @contexts ;;
    'settings list --columns') echo @none ;;
    'settings list --sort') echo @none ;;
    'settings list --filter') echo @none ;;
    'settings list --limit') echo @none ;;
    'settings list -o'|'settings list --output') echo 'table json yaml csv' ;;
    'settings list --context') echo @contexts ;;
    'settings get -o'|'settings get --output') echo 'table json yaml csv' ;;
    'settings get --context') echo @contexts ;;
    'settings set -o'|'settings set --output') echo 'table json yaml csv' ;;
    'settings set --context') echo @contexts ;;
    'license -o'|'license --output') echo 'table json yaml csv' ;;
    'license --context') echo @contexts ;;
    'license status -o'|'license status --output') echo 'table json yaml csv' ;;
    'license status --context') echo @contexts ;;
    'license activate -o'|'license activate --output') echo 'table json yaml csv' ;;
    'license activate --context') echo @contexts ;;
    'license history --columns') echo @none ;;
    'license history --sort') echo @none ;;
    'license history --filter') echo @none ;;
    'license history --limit') echo @none ;;
    'license history -o'|'license history --output') echo 'table json yaml csv' ;;
    'license history --context') echo @contexts ;;
    'license issue --tier') echo 'trial team business enterprise' ;;
    'license issue --email') echo @none ;;
    'license issue --company') echo @none ;;
    'license issue --days') echo @none ;;
    'license issue --customer') echo @none ;;
    'license issue --feature') echo @none ;;
    'license issue --out') echo @files ;;
    'license issue --authority') echo @files ;;
    'license issue -o'|'license issue --output') echo 'table json yaml csv' ;;
    'license issue --context') echo @contexts ;;
    'license authority -o'|'license authority --output') echo 'table json yaml csv' ;;
    'license authority --context') echo @contexts ;;
    'license authority create --name') echo @none ;;
    'license authority create --authority') echo @files ;;
    'license authority create --home') echo @files ;;
    'license authority create -o'|'license authority create --output') echo 'table json yaml csv' ;;
    'license authority create --context') echo @contexts ;;
    'license authority show --authority') echo @files ;;
    'license authority show -o'|'license authority show --output') echo 'table json yaml csv' ;;
    'license authority show --context') echo @contexts ;;
    'maintenance -o'|'maintenance --output') echo 'table json yaml csv' ;;
    'maintenance --context') echo @contexts ;;
    'maintenance on --retry-after') echo @none ;;
    'maintenance on -o'|'maintenance on --output') echo 'table json yaml csv' ;;
    'maintenance on --context') echo @contexts ;;
    'maintenance off -o'|'maintenance off --output') echo 'table json yaml csv' ;;
    'maintenance off --context') echo @contexts ;;
    'maintenance status -o'|'maintenance status --output') echo 'table json yaml csv' ;;
    'maintenance status --context') echo @contexts ;;
    'login -o'|'login --output') echo 'table json yaml csv' ;;
    'login --context') echo @contexts ;;
    'logout -o'|'logout --output') echo 'table json yaml csv' ;;
    'logout --context') echo @contexts ;;
    'context -o'|'context --output') echo 'table json yaml csv' ;;
    'context --context') echo @contexts ;;
    'context list --columns') echo @none ;;
    'context list --sort') echo @none ;;
    'context list --filter') echo @none ;;
    'context list --limit') echo @none ;;
    'context list -o'|'context list --output') echo 'table json yaml csv' ;;
    'context list --context') echo @contexts ;;
    'context use -o'|'context use --output') echo 'table json yaml csv' ;;
    'context use --context') echo @contexts ;;
    'context add --admin-url') echo @none ;;
    'context add --proxy-url') echo @none ;;
    'context add -o'|'context add --output') echo 'table json yaml csv' ;;
    'context add --context') echo @contexts ;;
    'context delete -o'|'context delete --output') echo 'table json yaml csv' ;;
    'context delete --context') echo @contexts ;;
  esac
}
_scutum_argument() {
  case "$1 $2" in
    restart' '*) echo 'postgres valkey worker admin proxy' ;;
    logs' '*) echo 'postgres valkey worker admin proxy' ;;
    completions' '*) echo 'bash zsh fish' ;;
    'providers show'' '*) echo @providers ;;
    'providers update'' '*) echo @providers ;;
    'providers delete'' '*) echo @providers ;;
    'providers test'' '*) echo @providers ;;
    'providers sim'' '*) echo @providers ;;
    'providers keys list'' '*) echo @providers ;;
    'providers keys add'' '*) echo @providers ;;
    'providers keys remove'' '0) echo @providers ;;
    'models show'' '*) echo @models ;;
    'models update'' '*) echo @models ;;
    'models delete'' '*) echo @models ;;
    'aliases set'' '0) echo @aliases ;;
    'aliases set'' '*) echo @models ;;
    'aliases delete'' '*) echo @aliases ;;
    'teams show'' '*) echo @teams ;;
    'teams delete'' '*) echo @teams ;;
    'keys show'' '*) echo @keys ;;
    'keys revoke'' '*) echo @keys ;;
    'keys rotate'' '*) echo @keys ;;
    'limits show'' '*) echo @limits ;;
    'limits update'' '*) echo @limits ;;
    'limits delete'' '*) echo @limits ;;
    'budgets show'' '*) echo @budgets ;;
    'budgets update'' '*) echo @budgets ;;
    'budgets delete'' '*) echo @budgets ;;
    'settings get'' '*) echo @settings ;;
    'settings set'' '*) echo @settings ;;
    'license activate'' '*) echo @files ;;
    'context use'' '*) echo @contexts ;;
    'context delete'' '*) echo @contexts ;;
  esac
}
_scutum() {
  local cur="${words[CURRENT]}" at_path="" expect="" source word at=2 position=0
  local -a known shown
  while (( at < CURRENT )); do
    word="${words[at]}"
    (( at++ ))
    known=(${(f)"$(_scutum_verbs "$at_path")"})
    if [[ -n "$expect" ]]; then
      expect=""
    elif [[ "$word" == -* ]]; then
      [[ "$word" == *=* || -z "$(_scutum_value "$at_path" "$word")" ]] || expect="$word"
    elif [[ -n "${known[(r)$word:*]}" ]]; then
      at_path="${at_path:+$at_path }$word"
    else
      (( position++ ))
    fi
  done
  if [[ -n "$expect" ]]; then
    source="$(_scutum_value "$at_path" "$expect")"
  elif [[ "$cur" == -* ]]; then
    shown=(${(f)"$(_scutum_flags "$at_path")"})
    _describe -o option shown
    return
  else
    shown=(${(f)"$(_scutum_verbs "$at_path")"})
    (( ${#shown} )) && _describe command shown
    source="$(_scutum_argument "$at_path" "$position")"
  fi
  for word in ${=source}; do
    case "$word" in
      @none) ;;
      @files) _files ;;
      @*) compadd -- ${(f)"$("${words[1]}" completions --live "${word#@}" 2>/dev/null)"} ;;
      *) compadd -- "$word" ;;
    esac
  done
}
if [[ "${funcstack[1]}" == "_scutum" ]]; then
  _scutum "$@"
else
  compdef _scutum scutum
fi
