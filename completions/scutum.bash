# Completion of scutum's commands. Generated: scutum completions bash prints it.
_scutum_verbs() {
  case "$1" in
    '') printf '%b\n' 'install uninstall up down restart ps logs status config version completions chat usage providers models aliases teams keys limits budgets settings maintenance login logout context' ;;
    config) printf '%b\n' 'path show' ;;
    providers) printf '%b\n' 'list show add update delete presets test sim keys' ;;
    'providers keys') printf '%b\n' 'list add remove' ;;
    models) printf '%b\n' 'list show add update delete catalog' ;;
    aliases) printf '%b\n' 'list set delete' ;;
    teams) printf '%b\n' 'list show create delete' ;;
    keys) printf '%b\n' 'list show create revoke rotate' ;;
    limits) printf '%b\n' 'list show create update delete' ;;
    budgets) printf '%b\n' 'list show create update delete' ;;
    settings) printf '%b\n' 'list get set' ;;
    maintenance) printf '%b\n' 'on off status' ;;
    context) printf '%b\n' 'list use add delete' ;;
  esac
}
_scutum_flags() {
  case "$1" in
    '') printf '%b\n' '-o --output --quiet --verbose --debug --no-color --no-progress --utc --context --help -h' ;;
    install) printf '%b\n' '--from --sha256 --proxy-port --admin-port --proxy-workers --database-url --redis-url --with --run-as --home -y --yes --dry-run -o --output --quiet --verbose --debug --no-color --no-progress --utc --help -h' ;;
    uninstall) printf '%b\n' '--delete-data --home -y --yes --dry-run -o --output --quiet --verbose --debug --no-color --no-progress --utc --help -h' ;;
    up) printf '%b\n' '--home -o --output --quiet --verbose --debug --no-color --no-progress --utc --help -h' ;;
    down) printf '%b\n' '--home -o --output --quiet --verbose --debug --no-color --no-progress --utc --help -h' ;;
    restart) printf '%b\n' '--home -o --output --quiet --verbose --debug --no-color --no-progress --utc --help -h' ;;
    ps) printf '%b\n' '--home -o --output --quiet --verbose --debug --no-color --no-progress --utc --help -h' ;;
    logs) printf '%b\n' '-f --follow --since -n --lines --home -o --output --quiet --verbose --debug --no-color --no-progress --utc --help -h' ;;
    status) printf '%b\n' '--home -o --output --quiet --verbose --debug --no-color --no-progress --utc --help -h' ;;
    config) printf '%b\n' '-o --output --quiet --verbose --debug --no-color --no-progress --utc --help -h' ;;
    'config path') printf '%b\n' '--home -o --output --quiet --verbose --debug --no-color --no-progress --utc --help -h' ;;
    'config show') printf '%b\n' '--home -o --output --quiet --verbose --debug --no-color --no-progress --utc --help -h' ;;
    version) printf '%b\n' '--all --home -o --output --quiet --verbose --debug --no-color --no-progress --utc --help -h' ;;
    completions) printf '%b\n' '-o --output --quiet --verbose --debug --no-color --no-progress --utc --help -h' ;;
    chat) printf '%b\n' '--model --system --no-stream --key -o --output --quiet --verbose --debug --no-color --no-progress --utc --context --help -h' ;;
    usage) printf '%b\n' '--by --since --until --columns --sort --filter --limit --all -o --output --quiet --verbose --debug --no-color --no-progress --utc --context --help -h' ;;
    providers) printf '%b\n' '-o --output --quiet --verbose --debug --no-color --no-progress --utc --context --help -h' ;;
    'providers list') printf '%b\n' '--columns --sort --filter --limit --all -o --output --quiet --verbose --debug --no-color --no-progress --utc --context --help -h' ;;
    'providers show') printf '%b\n' '-o --output --quiet --verbose --debug --no-color --no-progress --utc --context --help -h' ;;
    'providers add') printf '%b\n' '--kind --base-url --api-key-stdin --region --project --vendor --timeout --ca-bundle --proxy --responses --max-tokens --structured-output --api-version --dry-run -o --output --quiet --verbose --debug --no-color --no-progress --utc --context --help -h' ;;
    'providers update') printf '%b\n' '--name --base-url --api-key-stdin --region --project --timeout --ca-bundle --proxy --proxy-password-stdin --responses --max-tokens --structured-output --api-version --dry-run -o --output --quiet --verbose --debug --no-color --no-progress --utc --context --help -h' ;;
    'providers delete') printf '%b\n' '--cascade -y --yes --dry-run -o --output --quiet --verbose --debug --no-color --no-progress --utc --context --help -h' ;;
    'providers presets') printf '%b\n' '--columns --sort --filter --limit --all -o --output --quiet --verbose --debug --no-color --no-progress --utc --context --help -h' ;;
    'providers test') printf '%b\n' '-o --output --quiet --verbose --debug --no-color --no-progress --utc --context --help -h' ;;
    'providers sim') printf '%b\n' '--latency --ttft --chunk --error-rate --error-kind --shape --tokens --seed --reset --dry-run -o --output --quiet --verbose --debug --no-color --no-progress --utc --context --help -h' ;;
    'providers keys') printf '%b\n' '-o --output --quiet --verbose --debug --no-color --no-progress --utc --context --help -h' ;;
    'providers keys list') printf '%b\n' '--columns --sort --filter --limit --all -o --output --quiet --verbose --debug --no-color --no-progress --utc --context --help -h' ;;
    'providers keys add') printf '%b\n' '--api-key-stdin --dry-run -o --output --quiet --verbose --debug --no-color --no-progress --utc --context --help -h' ;;
    'providers keys remove') printf '%b\n' '-y --yes --dry-run -o --output --quiet --verbose --debug --no-color --no-progress --utc --context --help -h' ;;
    models) printf '%b\n' '-o --output --quiet --verbose --debug --no-color --no-progress --utc --context --help -h' ;;
    'models list') printf '%b\n' '--provider --columns --sort --filter --limit --all -o --output --quiet --verbose --debug --no-color --no-progress --utc --context --help -h' ;;
    'models show') printf '%b\n' '-o --output --quiet --verbose --debug --no-color --no-progress --utc --context --help -h' ;;
    'models add') printf '%b\n' '--provider --upstream-model --kind --price --rpm --tpm --dry-run -o --output --quiet --verbose --debug --no-color --no-progress --utc --context --help -h' ;;
    'models update') printf '%b\n' '--name --upstream-model --kind --price --rpm --tpm --dry-run -o --output --quiet --verbose --debug --no-color --no-progress --utc --context --help -h' ;;
    'models delete') printf '%b\n' '-y --yes --dry-run -o --output --quiet --verbose --debug --no-color --no-progress --utc --context --help -h' ;;
    'models catalog') printf '%b\n' '--provider --columns --sort --filter --limit --all -o --output --quiet --verbose --debug --no-color --no-progress --utc --context --help -h' ;;
    aliases) printf '%b\n' '--columns --sort --filter --limit --all -o --output --quiet --verbose --debug --no-color --no-progress --utc --context --help -h' ;;
    'aliases list') printf '%b\n' '--columns --sort --filter --limit --all -o --output --quiet --verbose --debug --no-color --no-progress --utc --context --help -h' ;;
    'aliases set') printf '%b\n' '--strategy --weights --retries --first-byte-timeout --timeout --dry-run -o --output --quiet --verbose --debug --no-color --no-progress --utc --context --help -h' ;;
    'aliases delete') printf '%b\n' '-y --yes --dry-run -o --output --quiet --verbose --debug --no-color --no-progress --utc --context --help -h' ;;
    teams) printf '%b\n' '-o --output --quiet --verbose --debug --no-color --no-progress --utc --context --help -h' ;;
    'teams list') printf '%b\n' '--columns --sort --filter --limit --all -o --output --quiet --verbose --debug --no-color --no-progress --utc --context --help -h' ;;
    'teams show') printf '%b\n' '-o --output --quiet --verbose --debug --no-color --no-progress --utc --context --help -h' ;;
    'teams create') printf '%b\n' '--org --dry-run -o --output --quiet --verbose --debug --no-color --no-progress --utc --context --help -h' ;;
    'teams delete') printf '%b\n' '-y --yes --dry-run -o --output --quiet --verbose --debug --no-color --no-progress --utc --context --help -h' ;;
    keys) printf '%b\n' '-o --output --quiet --verbose --debug --no-color --no-progress --utc --context --help -h' ;;
    'keys list') printf '%b\n' '--team --columns --sort --filter --limit --all -o --output --quiet --verbose --debug --no-color --no-progress --utc --context --help -h' ;;
    'keys show') printf '%b\n' '-o --output --quiet --verbose --debug --no-color --no-progress --utc --context --help -h' ;;
    'keys create') printf '%b\n' '--team --expires --models --routes --ips --owner --metadata --use --dry-run -o --output --quiet --verbose --debug --no-color --no-progress --utc --context --help -h' ;;
    'keys revoke') printf '%b\n' '-y --yes --dry-run -o --output --quiet --verbose --debug --no-color --no-progress --utc --context --help -h' ;;
    'keys rotate') printf '%b\n' '--overlap --use -y --yes --dry-run -o --output --quiet --verbose --debug --no-color --no-progress --utc --context --help -h' ;;
    limits) printf '%b\n' '-o --output --quiet --verbose --debug --no-color --no-progress --utc --context --help -h' ;;
    'limits list') printf '%b\n' '--columns --sort --filter --limit --all -o --output --quiet --verbose --debug --no-color --no-progress --utc --context --help -h' ;;
    'limits show') printf '%b\n' '-o --output --quiet --verbose --debug --no-color --no-progress --utc --context --help -h' ;;
    'limits create') printf '%b\n' '--team --key --user --model --global --rpm --tpm --rpd --tpd --concurrency --burst --on-failure --dry-run -o --output --quiet --verbose --debug --no-color --no-progress --utc --context --help -h' ;;
    'limits update') printf '%b\n' '--rpm --tpm --rpd --tpd --concurrency --burst --on-failure --dry-run -o --output --quiet --verbose --debug --no-color --no-progress --utc --context --help -h' ;;
    'limits delete') printf '%b\n' '-y --yes --dry-run -o --output --quiet --verbose --debug --no-color --no-progress --utc --context --help -h' ;;
    budgets) printf '%b\n' '-o --output --quiet --verbose --debug --no-color --no-progress --utc --context --help -h' ;;
    'budgets list') printf '%b\n' '--columns --sort --filter --limit --all -o --output --quiet --verbose --debug --no-color --no-progress --utc --context --help -h' ;;
    'budgets show') printf '%b\n' '-o --output --quiet --verbose --debug --no-color --no-progress --utc --context --help -h' ;;
    'budgets create') printf '%b\n' '--org --unit --team --key --user --global --day --week --month --soft --output-tokens --on-failure --dry-run -o --output --quiet --verbose --debug --no-color --no-progress --utc --context --help -h' ;;
    'budgets update') printf '%b\n' '--amount --soft --output-tokens --on-failure --dry-run -o --output --quiet --verbose --debug --no-color --no-progress --utc --context --help -h' ;;
    'budgets delete') printf '%b\n' '-y --yes --dry-run -o --output --quiet --verbose --debug --no-color --no-progress --utc --context --help -h' ;;
    settings) printf '%b\n' '-o --output --quiet --verbose --debug --no-color --no-progress --utc --context --help -h' ;;
    'settings list') printf '%b\n' '--columns --sort --filter --limit --all -o --output --quiet --verbose --debug --no-color --no-progress --utc --context --help -h' ;;
    'settings get') printf '%b\n' '-o --output --quiet --verbose --debug --no-color --no-progress --utc --context --help -h' ;;
    'settings set') printf '%b\n' '--dry-run -o --output --quiet --verbose --debug --no-color --no-progress --utc --context --help -h' ;;
    maintenance) printf '%b\n' '-o --output --quiet --verbose --debug --no-color --no-progress --utc --context --help -h' ;;
    'maintenance on') printf '%b\n' '--retry-after --dry-run -o --output --quiet --verbose --debug --no-color --no-progress --utc --context --help -h' ;;
    'maintenance off') printf '%b\n' '--dry-run -o --output --quiet --verbose --debug --no-color --no-progress --utc --context --help -h' ;;
    'maintenance status') printf '%b\n' '-o --output --quiet --verbose --debug --no-color --no-progress --utc --context --help -h' ;;
    login) printf '%b\n' '--api-key-stdin -o --output --quiet --verbose --debug --no-color --no-progress --utc --context --help -h' ;;
    logout) printf '%b\n' '-o --output --quiet --verbose --debug --no-color --no-progress --utc --context --help -h' ;;
    context) printf '%b\n' '-o --output --quiet --verbose --debug --no-color --no-progress --utc --context --help -h' ;;
    'context list') printf '%b\n' '--columns --sort --filter --limit --all -o --output --quiet --verbose --debug --no-color --no-progress --utc --context --help -h' ;;
    'context use') printf '%b\n' '--dry-run -o --output --quiet --verbose --debug --no-color --no-progress --utc --context --help -h' ;;
    'context add') printf '%b\n' '--admin-url --proxy-url --key-stdin --dry-run -o --output --quiet --verbose --debug --no-color --no-progress --utc --context --help -h' ;;
    'context delete') printf '%b\n' '-y --yes --dry-run -o --output --quiet --verbose --debug --no-color --no-progress --utc --context --help -h' ;;
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
    'context use'' '*) echo @contexts ;;
    'context delete'' '*) echo @contexts ;;
  esac
}
_scutum() {
  local cur="${COMP_WORDS[COMP_CWORD]}" path="" expect="" source words word at=1 position=0
  while [ "$at" -lt "$COMP_CWORD" ]; do
    word="${COMP_WORDS[$at]}"
    at=$((at + 1))
    if [ "$word" = "=" ]; then
      continue
    elif [ -n "$expect" ]; then
      expect=""
    elif [ "${word#-}" != "$word" ]; then
      [ -z "$(_scutum_value "$path" "$word")" ] || expect="$word"
    else
      case " $(_scutum_verbs "$path") " in
        *" $word "*) path="${path:+$path }$word" ;;
        *) position=$((position + 1)) ;;
      esac
    fi
  done
  [ "$cur" != "=" ] || cur=""
  if [ -n "$expect" ]; then
    source="$(_scutum_value "$path" "$expect")"
  elif [ "${cur#-}" != "$cur" ]; then
    source="$(_scutum_flags "$path")"
  else
    source="$(_scutum_verbs "$path") $(_scutum_argument "$path" "$position")"
  fi
  words=""
  COMPREPLY=()
  for word in $source; do
    case "$word" in
      @none) ;;
      @files) COMPREPLY=($(compgen -f -- "$cur")) ;;
      @*) words="$words $("${COMP_WORDS[0]}" completions --live "${word#@}" 2>/dev/null)" ;;
      *) words="$words $word" ;;
    esac
  done
  COMPREPLY+=($(compgen -W "$words" -- "$cur"))
}
complete -F _scutum scutum
