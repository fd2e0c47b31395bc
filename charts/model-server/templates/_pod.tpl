{{/* What the pods of both components share: (list $ "server"). */}}
{{- define "model-server.pod" -}}
{{- $root := index . 0 }}
{{- $selector := include "model-server.selector" . | fromYaml }}
{{- with $root.Values -}}
automountServiceAccountToken: false
enableServiceLinks: false # Services named model-server and application would bring variables like our own
terminationGracePeriodSeconds: {{ .shutdown.gracePeriodSeconds }}
securityContext:
  {{- toYaml .podSecurityContext | nindent 2 }}
{{- with .topologySpreadConstraints }}
topologySpreadConstraints:
  {{- range . }}
  {{- $injected := merge (dict "labelSelector" (dict "matchLabels" $selector)) . }}
  - {{ hasKey . "labelSelector" | ternary . $injected | toYaml | nindent 4 | trim }}
  {{- end }}
{{- end }}
{{- range $field := list "imagePullSecrets" "nodeSelector" "affinity" "tolerations" "priorityClassName" }}
{{- with get $root.Values $field }}
{{ dict $field . | toYaml }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* What their containers share: (list $ .Values). */}}
{{- define "model-server.container" -}}
{{- $root := index . 0 }}
{{- with index . 1 -}}
image: {{ include "model-server.image" (list $root .) }}
imagePullPolicy: {{ .image.pullPolicy }}
{{- range $probe, $spec := .probes }}
{{ $probe }}Probe:
  {{- toYaml $spec | nindent 2 }}
{{- end }}
{{- with $root.Values.shutdown.waitSeconds }}
lifecycle:
  preStop:
    sleep:
      seconds: {{ . }}
{{- end }}
resources:
  {{- toYaml .resources | nindent 2 }}
securityContext:
  {{- toYaml $root.Values.securityContext | nindent 2 }}
{{- end }}
{{- end }}

{{/* Settings as variables: (list "MODEL_SERVER" .Values.settings). */}}
{{- define "model-server.variables" -}}
{{- $prefix := index . 0 }}
{{- range $name, $value := index . 1 }}
- name: {{ $prefix }}_{{ snakecase $name | upper }}
  value: {{ kindIs "string" $value | ternary $value (toJson $value) | quote }}
{{- end }}
{{- end }}

{{/* The empty /tmp and what else a component mounts: .Values. */}}
{{- define "model-server.volumes" -}}
- name: tmp
  emptyDir:
    sizeLimit: {{ .tmpSizeLimit }}
{{- with .volumes }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "model-server.mounts" -}}
- name: tmp
  mountPath: /tmp
{{- with .volumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "model-server.strategy" -}}
type: RollingUpdate
rollingUpdate:
  maxSurge: {{ .Values.rollout.maxSurge }}
  maxUnavailable: {{ .Values.rollout.maxUnavailable }}
{{- end }}
